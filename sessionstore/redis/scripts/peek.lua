#!lua flags=no-writes
-- Reads the timer hints that are due: of a shard, by its server's clock, the oldest first.
--
-- KEYS  1 timers
-- ARGV  1 most
-- Gives hint, time in ms, hint, time in ms, ...
return redis.call('ZRANGE', KEYS[1], '-inf', whole(clock()), 'BYSCORE', 'LIMIT', 0, ARGV[1], 'WITHSCORES')
