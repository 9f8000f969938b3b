#!lua
-- Makes a node the owner of a session and answers with what is stored of it.
--
-- KEYS  1 meta   2 subs   3 in   4 out   5 claim   6 will   7 work   8 aside
-- ARGV  1 token of this claim, the same on a repeat     2 node   3 clean, '1' or '0'   4 expiry in seconds   5 now in ms
--       6 how long a repeat is recognized, in ms        7 channel prefix   8 the session key, for the notice
--       9 registration in the node's set, or ''   10 has a will, '1' or '0'   11 its delay in seconds   12 its message
--       13 how long a will is put aside, in ms   14 most pieces of work   15 most wills aside
-- Gives { present 1|0, previous owner or '', its epoch or '', session, discarded session or {}, pieces of work, made some 1|0,
--       previous registration or '', timer hint that nobody needs or '' }; a session is the four hashes, flat. -1: too much work waits.
local meta, subs, inbound, outbound, claim, willkey, work, aside = unpack(KEYS)
local token, node, clean, expiry, now = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4], tonumber(ARGV[5])

local function session()
  return { redis.call('HGETALL', meta), redis.call('HGETALL', subs), redis.call('HGETALL', inbound), redis.call('HGETALL', outbound) }
end

local held = redis.call('HMGET', meta, 'v', 'epoch', 'owner', 'expiry', 'released', 'incarnation', 'inbox', 'reg', 'hint')
local version, epoch, owner, held_expiry, released = held[1], held[2], held[3], held[4], held[5]
if version and version ~= '1' then
  return redis.error_reply('SCHEMA the session was written in version ' .. version .. ', this node knows 1')
end

-- The answer to this claim was lost and it comes again: the same answer, no new epoch. Without this a repeat would find the session it
-- had just made (session present, wrongly) and the discarded one would be forgotten.
local saved = redis.call('GET', claim)
if saved then
  local was = cmsgpack.unpack(saved)
  if was.token == token and was.epoch == epoch then
    return { was.present, was.owner, was.owner_epoch, session(), was.discarded or {}, was.work, was.made, was.reg, was.hint }
  end
end
if redis.call('HLEN', work) >= tonumber(ARGV[14]) then
  return -1
end

-- Puts a Will aside until the owner that lost the session has said what becomes of it.
local function put_aside(will)
  local at = clock()
  if redis.call('HLEN', aside) >= tonumber(ARGV[15]) then
    local all = redis.call('HGETALL', aside)
    for i = 1, #all, 2 do
      if cmsgpack.unpack(all[i + 1]).u <= at then
        redis.call('HDEL', aside, all[i])
      end
    end
  end
  if redis.call('HLEN', aside) < tonumber(ARGV[15]) then
    redis.call('HSET', aside, epoch, cmsgpack.pack({ i = held[6], d = will.delay, m = will.message, u = at + tonumber(ARGV[13]) }))
    redis.call('PEXPIRE', aside, ARGV[13])
  end
end

local present, discarded, made = 0, nil, 0
if epoch then
  -- Expiry zero ends with the connection, also one that is being taken over [MQTT-3.1.2-6].
  local over = clean or (owner ~= '' and held_expiry == '0')
  if owner == '' and tonumber(held_expiry) ~= NEVER and now >= tonumber(released) + tonumber(held_expiry) * 1000 then
    over = true
  end

  local will, at = read_will(willkey), clock()
  if will then
    if owner ~= '' then
      if over or will.delay == '0' then
        put_aside(will)
      end
      will = nil
    elseif (will.grace and at < will.grace) or (not over and at < will.at) then
      will = nil -- the device is back in time
    elseif not over then
      leave(work, epoch, 'w', held[6], will, '')
      will, made = nil, 1
    end
    redis.call('DEL', willkey)
  end

  if over then
    discarded = session()
    local groups = groups_of(meta)
    if will or (held[7] or '') ~= '' or groups then
      leave(work, epoch, 'e', held[6], will, held[7] or '', groups)
      made = 1
    end
    redis.call('DEL', meta, subs, inbound, outbound)
  else
    present = 1
  end
end

local fresh = next_epoch(epoch)
redis.call('HSET', meta, 'v', '1', 'epoch', fresh, 'owner', node, 'expiry', expiry)
if present == 1 then
  redis.call('HDEL', meta, 'released', 'writer', 'seq', 'ends', 'hint', 'reg')
  for i = 1, 4 do
    redis.call('PERSIST', KEYS[i])
  end
else
  redis.call('HSET', meta, 'incarnation', fresh)
end
if ARGV[9] ~= '' then
  redis.call('HSET', meta, 'reg', ARGV[9])
end
if ARGV[10] == '1' then
  redis.call('HSET', willkey, 'delay', ARGV[11], 'message', ARGV[12])
end

local previous, previous_epoch, reg, hint = '', '', '', ''
if owner and owner ~= '' then
  previous, previous_epoch, reg = owner, epoch, held[8] or ''
  -- Inside the step: a claim whose answer is lost still tells the old owner.
  redis.call('PUBLISH', ARGV[7] .. owner .. ':lost', '1 ' .. epoch .. ' ' .. fresh .. ' ' .. ARGV[8])
end
local pieces = redis.call('HLEN', work)
if pieces == 0 then
  hint = held[9] or ''
end

redis.call('SET', claim, cmsgpack.pack({
  token = token, epoch = fresh, present = present, owner = previous, owner_epoch = previous_epoch, discarded = discarded,
  work = pieces, made = made, reg = reg, hint = hint,
}), 'PX', ARGV[6])
return { present, previous, previous_epoch, session(), discarded or {}, pieces, made, reg, hint }
