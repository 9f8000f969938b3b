#!lua flags=allow-oom
-- Removes messages of a tenant that have expired, for a hint that led here.
--
-- KEYS  1 messages   2 topics   3 ends   4 use
-- ARGV  1 most   2 name of the hint   3 how long until the next look at the latest, in ms
-- Gives { removed, more may be there 1|0, when to look again in ms or '' when the hint is not needed }.
local ends, use = KEYS[3], KEYS[4]
local removed, more = trim_retained(KEYS[1], KEYS[2], ends, use, ARGV[1])
local first = redis.call('ZRANGE', ends, 0, 0, 'WITHSCORES')
local held = redis.call('HMGET', use, 'hint', 'known')
if not first[1] then
  -- Whoever comes next names a new one: so this one can be taken away without harm to it.
  if held[1] == ARGV[2] then
    redis.call('HDEL', use, 'hint', 'known')
  end
  return { removed, 0, '' }
end
if held[1] ~= ARGV[2] and held[2] then
  return { removed, more and 1 or 0, '' } -- another leads here
end
redis.call('HSET', use, 'hint', ARGV[2], 'known', '1')
return { removed, more and 1 or 0, whole(math.min(tonumber(first[2]), clock() + tonumber(ARGV[3]))) }
