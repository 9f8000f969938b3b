#!lua flags=allow-oom
-- Sets, moves or removes a timer hint. Runs on a full server too, as what sets it does.
--
-- KEYS  1 timers
-- ARGV  1 hint   2 when in ms, or '' to remove it   3 'XX' to move one only if it is there, else ''
if ARGV[2] == '' then
  return redis.call('ZREM', KEYS[1], ARGV[1])
elseif ARGV[3] == 'XX' then
  return redis.call('ZADD', KEYS[1], 'XX', ARGV[2], ARGV[1])
end
return redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
