#!lua flags=allow-oom
-- Forgets who took a message of a group.
--
-- KEYS  1 group   2 taken   3 order   4 sent
-- ARGV  1 number   2 incarnation   3 identity
-- Gives 1, or 0 when nobody had, or the group of this incarnation is over.
local refused = late(KEYS[4], ARGV[1])
if refused then
  return refused
end
if redis.call('HGET', KEYS[1], 'incarnation') ~= ARGV[2] then
  return 0
end
redis.call('ZREM', KEYS[3], ARGV[3])
return redis.call('HDEL', KEYS[2], ARGV[3])
