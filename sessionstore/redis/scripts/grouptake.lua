#!lua
-- Notes who begins the QoS 2 delivery of a message of a group, and gives who was first.
--
-- KEYS  1 group   2 taken   3 order   4 sent
-- ARGV  1 number   2 incarnation   3 identity   4 who   5 most
-- Gives { 1, who was first }, or { 0, '' } when the group of this incarnation is over.
local refused = late(KEYS[4], ARGV[1])
if refused then
  return refused
end
if redis.call('HGET', KEYS[1], 'incarnation') ~= ARGV[2] then
  return { 0, '' }
end
local first = redis.call('HGET', KEYS[2], ARGV[3])
if first then
  return { 1, first }
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('ZADD', KEYS[3], redis.call('HINCRBY', KEYS[1], 'taken', 1), ARGV[3])
if redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[5]) then
  redis.call('HDEL', KEYS[2], redis.call('ZPOPMIN', KEYS[3])[1])
end
return { 1, ARGV[4] }
