-- Show a job as it is now, unless something newer is shown already.
--
-- KEYS[1]  hash   progress:<tenant>:<dialect>:<external id>   version, job
-- ARGV     version, the job as JSON (ids, counts, times), milliseconds to keep
-- Returns  1 if it is shown now, 0 if a newer version was there

local known = tonumber(redis.call("HGET", KEYS[1], "version") or "0")
if tonumber(ARGV[1]) < known then
  return 0
end
redis.call("HSET", KEYS[1], "version", ARGV[1], "job", ARGV[2])
redis.call("PEXPIRE", KEYS[1], ARGV[3])
return 1
