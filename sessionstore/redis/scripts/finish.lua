#!lua flags=allow-oom
-- Removes a piece of work.
--
-- KEYS  1 work   2 meta
-- ARGV  1 name   2 token of its claim
-- Gives 1 gone, 2 gone and nothing else is left of the session, 0 somebody else's.
local found = redis.call('HGET', KEYS[1], ARGV[1])
if found then
  if cmsgpack.unpack(found).t ~= ARGV[2] then
    return 0
  end
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return redis.call('EXISTS', KEYS[1], KEYS[2]) == 0 and 2 or 1
