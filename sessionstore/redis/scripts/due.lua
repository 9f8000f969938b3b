#!lua flags=allow-oom
-- Makes work of what is due of a session, and claims it for a worker. The session is not locked: what is not work yet, a claim of the
-- session may still cancel.
--
-- KEYS  1 meta   2 subs   3 in   4 out   5 will   6 work
-- ARGV  1 token of this call, the same on a repeat   2 how long the claim lasts, in ms   3 most pieces
-- Gives { when to look again in ms or '', pieces as take_work has them }.
local meta, willkey, work = KEYS[1], KEYS[5], KEYS[6]
local token, lease, most, at = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), clock()
local again = nil
local function look_at(t)
  if not again or t < again then
    again = t
  end
end

local held = redis.call('HMGET', meta, 'v', 'epoch', 'owner', 'ends', 'inbox', 'incarnation')
if held[1] and held[1] ~= '1' then
  look_at(at + lease) -- a later version's session is left to its nodes, and so is the hint
end
if held[1] == '1' and held[3] == '' then
  local will, ends, inbox, groups = read_will(willkey), tonumber(held[4]), held[5] or '', groups_of(meta)
  if ends and at >= ends then
    if will or inbox ~= '' or groups then
      leave(work, held[2], 'e', held[6], will, inbox, groups)
    end
    redis.call('DEL', meta, KEYS[2], KEYS[3], KEYS[4], willkey)
  else
    if will and at >= will.at then
      leave(work, held[2], 'w', held[6], will, '')
      redis.call('DEL', willkey)
    elseif will then
      look_at(will.at)
    end
    if ends and (inbox ~= '' or groups) then
      look_at(ends)
    end
  end
end

local taken = take_work(work, token, lease, most, at, look_at)
return { again and whole(again) or '', taken }
