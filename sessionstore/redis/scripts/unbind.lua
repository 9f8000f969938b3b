#!lua flags=allow-oom
-- Removes the binding of a client identifier. Those of credentials to it count no longer, as its generation is gone.
--
-- KEYS  1 client identifier   2 sent
-- ARGV  1 number
-- Gives 1 removed, 0 there was none.
local refused = late(KEYS[2], ARGV[1])
if refused then
  return refused
end
return redis.call('DEL', KEYS[1])
