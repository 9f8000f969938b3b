#!lua flags=allow-oom
-- Makes work of what is due of a session, and claims it for a worker. The session is not locked: what is not work yet, a claim of the
-- session may still cancel.
--
-- KEYS  1 meta   2 subs   3 in   4 out   5 will   6 work
-- ARGV  1 token of this call, the same on a repeat   2 how long the claim lasts, in ms   3 most pieces
-- Gives { when to look again in ms or '', pieces of { name, incarnation, has a will 1|0, delay, message, inbox, tries } }.
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
  local will, ends, inbox = read_will(willkey), tonumber(held[4]), held[5] or ''
  if ends and at >= ends then
    if will or inbox ~= '' then
      leave(work, held[2], 'e', held[6], will, inbox)
    end
    redis.call('DEL', meta, KEYS[2], KEYS[3], KEYS[4], willkey)
  else
    if will and at >= will.at then
      leave(work, held[2], 'w', held[6], will, '')
      redis.call('DEL', willkey)
    elseif will then
      look_at(will.at)
    end
    if ends and inbox ~= '' then
      look_at(ends)
    end
  end
end

local taken = {}
local all = redis.call('HGETALL', work)
for i = 1, #all, 2 do
  local name, p = all[i], cmsgpack.unpack(all[i + 1])
  if p.v ~= '1' then
    look_at(at + lease)
  else
    if p.t ~= token and p.u and at < p.u then
      look_at(p.u)
    elseif #taken >= most then
      look_at(at)
    else
      if p.t ~= token then
        p.t, p.u, p.n = token, at + lease, p.n + 1
        redis.call('HSET', work, name, cmsgpack.pack(p))
      end
      look_at(p.u)
      taken[#taken + 1] = { name, p.i, p.m and 1 or 0, p.d or '', p.m or '', p.q, p.n }
    end
  end
end
return { again and whole(again) or '', taken }
