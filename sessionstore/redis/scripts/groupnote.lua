#!lua
-- Notes in the record of a session that it joins a group.
--
-- KEYS  1 meta
-- ARGV  1 epoch   2 filter   3 most groups
-- Gives 1 noted, 2 it was, 0 fenced, -1 full.
local held = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'groups', 'g:' .. ARGV[2])
if held[1] ~= ARGV[1] or held[2] == '' then
  return 0
elseif held[4] then
  return 2
elseif tonumber(held[3] or '0') >= tonumber(ARGV[3]) then
  return -1
end
redis.call('HSET', KEYS[1], 'g:' .. ARGV[2], '1')
redis.call('HINCRBY', KEYS[1], 'groups', 1)
return 1
