#!lua flags=allow-oom
-- Removes the note of a group that a session has left, unless it has another owner by now.
--
-- KEYS  1 meta
-- ARGV  1 epoch   2 filter
-- Gives 1, or 0 when there was none of this epoch.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] or redis.call('HDEL', KEYS[1], 'g:' .. ARGV[2]) == 0 then
  return 0
end
redis.call('HINCRBY', KEYS[1], 'groups', -1)
return 1
