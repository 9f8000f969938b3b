#!lua flags=allow-oom
-- Removes the binding of a client identifier. Those of credentials to it count no longer, as its generation is gone.
--
-- KEYS  1 client identifier   2 index of those of its principal   3 sent
-- ARGV  1 number   2 client identifier as in the index
-- Gives 1 removed, 0 there was none.
local refused = late(KEYS[3], ARGV[1])
if refused then
  return refused
end
redis.call('ZREM', KEYS[2], ARGV[2])
return redis.call('DEL', KEYS[1])
