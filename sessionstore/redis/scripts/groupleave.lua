#!lua flags=allow-oom
-- Ends a membership; with the last member the group ends.
--
-- KEYS  1 group   2 members   3 left   4 work   5 taken   6 order   7 sent
-- ARGV  1 number   2 session key   3 epoch   4 the session goes on under this epoch, '1' or '0'
-- Gives how many pieces of work wait for this group.
local refused = late(KEYS[7], ARGV[1])
if refused then
  return refused
end
local group, members, left, work = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local key, epoch, at = ARGV[2], tonumber(ARGV[3]), clock()
local held = redis.call('HMGET', group, 'v', 'incarnation')
if held[1] and held[1] ~= '1' then
  return redis.error_reply('SCHEMA the group was written in version ' .. held[1] .. ', this node knows 1')
end
local joined = redis.call('HGET', members, key)
if joined and tonumber(joined) <= epoch then
  redis.call('HDEL', members, key)
end
if held[2] and redis.call('HLEN', members) == 0 then
  leave(work, held[2], 'g', held[2], nil, '')
  redis.call('UNLINK', group, KEYS[5], KEYS[6])
end

-- A Join that was on its way all the time must not come after this. Which one would be late: the greatest such epoch, kept for as long as a
-- step may be on its way. The owner itself may join again.
local bound = ARGV[4] == '1' and epoch - 1 or epoch
local before = redis.call('HGET', left, key)
if before then
  bound = math.max(bound, tonumber(string.match(before, '^%d+')))
end
redis.call('HSET', left, key, whole(bound) .. ' ' .. whole(at))
redis.call('PEXPIRE', left, LATE)
-- Each Leave adds one; looking at a few of them each time keeps those that are over few.
local some = redis.call('HRANDFIELD', left, 4, 'WITHVALUES')
for i = 1, #some, 2 do
  if tonumber(string.match(some[i + 1], '%d+$')) + LATE < at then
    redis.call('HDEL', left, some[i])
  end
end
return redis.call('HLEN', work)
