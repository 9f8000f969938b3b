#!lua flags=allow-oom
-- Ends the ownership of a session. Runs on a full server too: it is what makes room.
--
-- KEYS  1 meta   2 subs   3 in   4 out   5 claim   6 will   7 work   8 aside
-- ARGV  1 epoch   2 now in ms   3 end, '1' or '0'   4 margin of the backstop in ms   5 the will is kept, '1' or '0'   6 name of a timer hint
-- Gives { 1 released (or released before) | 0 another owner | -1 no session, work 1|0, when the hint is due in ms or '', its name,
--       owner released or '', its registration or '' }.
local meta, willkey, work, aside = KEYS[1], KEYS[6], KEYS[7], KEYS[8]
local epoch, kept, at = ARGV[1], ARGV[5] == '1', clock()
local held = redis.call('HMGET', meta, 'epoch', 'owner', 'expiry', 'incarnation', 'inbox', 'reg', 'hint')

if held[1] ~= epoch then
  -- The word of an owner that lost the session, about the Will that the claim put aside.
  local found = redis.call('HGET', aside, epoch)
  if found then
    redis.call('HDEL', aside, epoch)
    local a = cmsgpack.unpack(found)
    if kept and at < a.u then
      leave(work, epoch, 'w', a.i, { delay = a.d, message = a.m }, '')
    end
  end
  -- Also for a repeat: its first copy may have made the work, and the hint is still to be set.
  local left = redis.call('HEXISTS', work, epoch .. ':w') + redis.call('HEXISTS', work, epoch .. ':e')
  return { held[1] and 0 or -1, left > 0 and 1 or 0, left > 0 and whole(at) or '', ARGV[6], '', '' }
end

local owner, reg, inbox = held[2], held[6] or '', held[5] or ''
local expiry, never = tonumber(held[3]), tonumber(held[3]) == NEVER
local will, groups = read_will(willkey), groups_of(meta)
local owes = inbox ~= '' or groups -- at its end
if owner ~= '' and will then
  if kept then
    will.at = at + math.min(tonumber(will.delay), expiry) * 1000
    redis.call('HSET', willkey, 'at', whole(will.at))
  else
    redis.call('DEL', willkey)
    will = nil
  end
end

if ARGV[3] == '1' or expiry == 0 then
  redis.call('DEL', meta, KEYS[2], KEYS[3], KEYS[4], KEYS[5], willkey)
  if not will and not owes then
    return { 1, 0, '', '', owner, reg }
  end
  leave(work, epoch, 'e', held[4], will, inbox, groups)
  return { 1, 1, whole(at), ARGV[6], owner, reg }
end

local hint = held[7] or ''
if owner ~= '' then
  hint = ARGV[6]
  redis.call('HSET', meta, 'owner', '', 'released', ARGV[2], 'hint', hint)
  redis.call('HDEL', meta, 'reg')
  if not never then
    redis.call('HSET', meta, 'ends', whole(at + expiry * 1000))
  end
end
local due, made = nil, 0
if will and at >= will.at then
  leave(work, epoch, 'w', held[4], will, '')
  redis.call('DEL', willkey)
  will, made, due = nil, 1, at
elseif will then
  due = will.at
elseif redis.call('HEXISTS', work, epoch .. ':w') == 1 then
  due = at -- a repeat: its first copy made the work, whose hint must not be put off to the end of the session
end
if not due and owes and not never then
  due = tonumber(redis.call('HGET', meta, 'ends'))
end
-- The backstop removes what nobody came back for. It counts from now on this server's own clock, so that a node's wrong clock cannot
-- remove a session early; what decides is the comparison with the caller's now in claim and get, and the work that comes of its end.
if owner ~= '' and not never then
  local keep = whole(expiry * 1000 + ((will or owes) and WORK_KEPT or tonumber(ARGV[4])))
  for _, key in ipairs({ meta, KEYS[2], KEYS[3], KEYS[4], willkey }) do
    redis.call('PEXPIRE', key, keep)
  end
end
return { 1, made, due and whole(due) or '', hint, owner, reg }
