-- What several steps share; it stands below the first line of each. Times are ms of this server's clock.
local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function whole(n)
  return string.format('%.0f', n)
end

-- An epoch: microseconds of this server's clock, and always above the session's last. So an epoch is not used twice for a key even when the
-- session was removed in between and nothing of it is left to count from. Exact in a double until the year 2255.
local function next_epoch(last)
  local t = redis.call('TIME')
  local fresh = tonumber(t[1]) * 1000000 + tonumber(t[2])
  if last and fresh <= tonumber(last) then
    fresh = tonumber(last) + 1
  end
  return whole(fresh)
end

-- The Will of a session: nil when there is none.
local function read_will(key)
  local w = redis.call('HMGET', key, 'delay', 'message', 'at', 'grace')
  if not w[1] then
    return nil
  end
  return { delay = w[1], message = w[2], at = tonumber(w[3]), grace = tonumber(w[4]) }
end

-- How long work, and sessions that will become work, are kept when no node lives to do it.
local WORK_KEPT = 7 * 24 * 3600 * 1000

-- The groups of a session, nil when there are none. They stand among the fields of the session itself, 'g:' and the filter, with their number
-- in 'groups'.
local function groups_of(meta)
  if tonumber(redis.call('HGET', meta, 'groups') or '0') <= 0 then
    return nil
  end
  local found, all = {}, redis.call('HGETALL', meta)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'g:' then
      found[#found + 1] = string.sub(all[i], 3)
    end
  end
  return found
end

-- Keeps a piece of work: 'w' for a Will, 'e' for the end of a session, 'g' for the end of a group. Its name follows from what happened: it is not
-- made twice. Version 2 has groups to leave, which a node that knows version 1 only would forget.
local function leave(work, epoch, kind, incarnation, will, inbox, groups)
  local piece = { v = groups and '2' or '1', i = incarnation, q = inbox, g = groups, n = 0 }
  if will then
    piece.d, piece.m = will.delay, will.message
  end
  redis.call('HSET', work, epoch .. ':' .. kind, cmsgpack.pack(piece))
  redis.call('PEXPIRE', work, WORK_KEPT)
end

-- How long a copy of a step may be on its way after it was given up and repeated: generous.
local LATE = 10 * 60 * 1000

-- Tells whether a step is a copy that a broken connection delivered late. sent is the key of the sender, one lane of a store; number rises with
-- each attempt it sends, so what has a lower one than another that was applied was repeated before that one.
local function late(sent, number)
  local last = redis.call('GET', sent)
  if last and tonumber(number) <= tonumber(last) then
    return redis.error_reply('LATE a younger step of this sender was applied')
  end
  redis.call('SET', sent, number, 'PX', LATE)
  return nil
end

-- Claims the pieces of work that are nobody's, up to most, under a token that is the same on a repeat. look_at is told when to look again.
-- Gives { name, incarnation, has a will 1|0, delay, message, inbox, tries, groups } of each.
local function take_work(work, token, lease, most, at, look_at)
  local taken = {}
  local all = redis.call('HGETALL', work)
  for i = 1, #all, 2 do
    local name, p = all[i], cmsgpack.unpack(all[i + 1])
    if p.v ~= '1' and p.v ~= '2' then
      look_at(at + lease)
    elseif p.t ~= token and p.u and at < p.u then
      look_at(p.u)
    elseif #taken >= most then
      look_at(at)
    else
      if p.t ~= token then
        p.t, p.u, p.n = token, at + lease, p.n + 1
        redis.call('HSET', work, name, cmsgpack.pack(p))
      end
      look_at(p.u)
      taken[#taken + 1] = { name, p.i, p.m and 1 or 0, p.d or '', p.m or '', p.q, p.n, p.g or {} }
    end
  end
  return taken
end

local NEVER = 4294967295
