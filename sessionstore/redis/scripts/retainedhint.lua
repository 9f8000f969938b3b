#!lua flags=allow-oom
-- Notes that the hint of this name is there.
--
-- KEYS  1 use
-- ARGV  1 its name
-- Gives 1, or 0 when it is not the tenant's any more.
if redis.call('HGET', KEYS[1], 'hint') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'known', '1')
return 1
