#!lua flags=allow-oom
-- Ends the ownership of a session. Runs on a full server too: it is what makes room.
--
-- KEYS  1 meta   2 subs   3 in   4 out   5 claim
-- ARGV  1 epoch   2 now in ms   3 end, '1' or '0'   4 margin of the backstop in ms
-- Gives 1 released (or released before), 0 another owner, -1 no session.
local meta = KEYS[1]
local held = redis.call('HMGET', meta, 'epoch', 'owner', 'expiry')
if not held[1] then
  return -1
end
if held[1] ~= ARGV[1] then
  return 0
end
if ARGV[3] == '1' or held[3] == '0' then
  redis.call('DEL', unpack(KEYS))
  return 1
end
if held[2] == '' then
  return 1
end
redis.call('HSET', meta, 'owner', '', 'released', ARGV[2])
-- The backstop removes what nobody came back for. It counts from now on this server's own clock, so that a node's wrong clock cannot
-- remove a session early; what decides is the comparison with the caller's now in claim and get.
if held[3] ~= '4294967295' then
  local keep = string.format('%.0f', tonumber(held[3]) * 1000 + tonumber(ARGV[4]))
  for i = 1, 4 do
    redis.call('PEXPIRE', KEYS[i], keep)
  end
end
return 1
