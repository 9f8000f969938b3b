#!lua flags=no-writes
-- Reads a session without owning it.
--
-- KEYS  1 meta   2 subs   3 in   4 out
-- ARGV  1 now in ms
-- Gives the four hashes, flat; {} when there is no session or it has ended.
local held = redis.call('HMGET', KEYS[1], 'owner', 'expiry', 'released')
if not held[1] then
  return {}
end
if held[1] == '' and held[2] ~= '4294967295' and tonumber(ARGV[1]) >= tonumber(held[3]) + tonumber(held[2]) * 1000 then
  return {}
end
return { redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3]), redis.call('HGETALL', KEYS[4]) }
