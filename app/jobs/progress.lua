-- Show a job as it is now, unless something newer is shown already, and tell who watches.
--
-- KEYS[1]  hash   progress:<tenant>:<dialect>:<external id>   version, job
-- ARGV     version, the job as JSON (ids, counts, times), milliseconds to keep,
--          a channel, what to say there (an id and the version)
-- Returns  1 if it is shown now, 0 if a newer version was there

local known = tonumber(redis.call("HGET", KEYS[1], "version") or "0")
if tonumber(ARGV[1]) < known then
  return 0
end
redis.call("HSET", KEYS[1], "version", ARGV[1], "job", ARGV[2])
redis.call("PEXPIRE", KEYS[1], ARGV[3])
if tonumber(ARGV[1]) > known then
  redis.call("PUBLISH", ARGV[4], ARGV[5])
end
return 1
