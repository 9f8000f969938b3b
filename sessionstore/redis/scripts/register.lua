#!lua flags=allow-oom
-- Notes a session in the set of the node that is about to claim it.
--
-- KEYS  1 life   2 sessions
-- ARGV  1 registration
-- Gives 1, or 0 when this life was swept: then the sweepers have to be told of it again.
redis.call('SADD', KEYS[2], ARGV[1])
return redis.call('EXISTS', KEYS[1])
