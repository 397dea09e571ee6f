-- Show a job as it is now, unless something newer is shown already, and tell who watches.
--
-- KEYS[1]  hash   progress:<tenant>:<dialect>:<external id>   id, born, version, job
-- ARGV     the job's id, when it was made (microseconds), version, the job as JSON (ids, counts,
--          times) or nothing, milliseconds to keep, a channel, what to say there (an id and the
--          version)
-- Returns  1 if it is shown now, 0 if a newer version, or a newer job of that name, was there

local id, born, version = unpack(redis.call("HMGET", KEYS[1], "id", "born", "version"))
local known = 0
if id == ARGV[1] then
  known = tonumber(version)
elseif id and tonumber(ARGV[2]) < tonumber(born) then
  -- A job that has been deleted, whose name was given again.
  return 0
end
if tonumber(ARGV[3]) < known then
  return 0
end
redis.call("HSET", KEYS[1], "id", ARGV[1], "born", ARGV[2], "version", ARGV[3], "job", ARGV[4])
redis.call("PEXPIRE", KEYS[1], ARGV[5])
if tonumber(ARGV[3]) > known then
  redis.call("PUBLISH", ARGV[6], ARGV[7])
end
return 1
