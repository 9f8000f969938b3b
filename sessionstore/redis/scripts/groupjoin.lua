#!lua
-- Makes a session a member of a group, which begins with its first.
--
-- KEYS  1 group   2 members   3 left   4 work   5 sent
-- ARGV  1 number   2 session key   3 epoch   4 most members   5 most pieces of work
-- Gives { 1, incarnation }; { 0 the session has left it since, '' }; { -1 too many members, '' }; { -2 too much work waits, '' }.
local refused = late(KEYS[5], ARGV[1])
if refused then
  return refused
end
local group, members, left, work = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local key, epoch = ARGV[2], ARGV[3]
local held = redis.call('HMGET', group, 'v', 'incarnation')
if held[1] and held[1] ~= '1' then
  return redis.error_reply('SCHEMA the group was written in version ' .. held[1] .. ', this node knows 1')
end
-- A node that was gone for a while asks for a session that others have ended, or for which a later owner has left.
local gone = redis.call('HGET', left, key)
if gone and tonumber(epoch) <= tonumber(string.match(gone, '^%d+')) then
  return { 0, '' }
end

local incarnation = held[2]
local joined = redis.call('HGET', members, key)
if not incarnation then
  local names = redis.call('HKEYS', work)
  if #names >= tonumber(ARGV[5]) then
    return { -2, '' }
  end
  -- Of the group before, only its work may be left to count from.
  local last = nil
  for _, name in ipairs(names) do
    local n = string.match(name, '^%d+')
    if not last or tonumber(n) > tonumber(last) then
      last = n
    end
  end
  incarnation = next_epoch(last)
  redis.call('HSET', group, 'v', '1', 'incarnation', incarnation)
elseif not joined and redis.call('HLEN', members) >= tonumber(ARGV[4]) then
  return { -1, '' }
end
if not joined or tonumber(joined) < tonumber(epoch) then
  redis.call('HSET', members, key, epoch)
end
return { 1, incarnation }
