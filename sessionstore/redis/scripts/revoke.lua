#!lua flags=allow-oom
-- Adds, replaces or removes a revocation. Runs on a full server too: what is to be kept out must not depend on that.
--
-- KEYS  1 list   2 ends   3 sent
-- ARGV  1 number   2 id   3 record, or '' to remove it   4 when it is over, in ms   5 most
-- Gives 1 done, -1 there are too many.
local refused = late(KEYS[3], ARGV[1])
if refused then
  return refused
end
local list, ends, field = KEYS[1], KEYS[2], 'r:' .. ARGV[2]
local over = redis.call('ZRANGE', ends, '-inf', whole(clock()), 'BYSCORE', 'LIMIT', 0, 256)
for _, id in ipairs(over) do
  redis.call('HDEL', list, 'r:' .. id)
  redis.call('ZREM', ends, id)
end
if ARGV[3] == '' then
  redis.call('HDEL', list, field)
  redis.call('ZREM', ends, ARGV[2])
else
  if redis.call('HEXISTS', list, field) == 0 and redis.call('ZCARD', ends) >= tonumber(ARGV[5]) then
    return -1
  end
  redis.call('HSET', list, field, ARGV[3])
  redis.call('ZADD', ends, ARGV[4], ARGV[2])
end
redis.call('HSET', list, 'version', next_epoch(redis.call('HGET', list, 'version')))

-- The list ends with its last revocation, at the earliest when nobody can still have an older version of it in mind.
local last = redis.call('ZRANGE', ends, -1, -1, 'WITHSCORES')[2]
local kept = math.max(tonumber(last or '0'), clock()) + LATE
redis.call('PEXPIREAT', list, whole(kept))
redis.call('PEXPIREAT', ends, whole(kept))
return 1
