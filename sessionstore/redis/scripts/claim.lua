#!lua
-- Makes a node the owner of a session and answers with what is stored of it.
--
-- KEYS  1 meta   2 subs   3 in   4 out   5 claim
-- ARGV  1 token of this claim, the same on a repeat     2 node   3 clean, '1' or '0'   4 expiry in seconds   5 now in ms
--       6 how long a repeat is recognized, in ms        7 channel prefix   8 the session key, for the notice
-- Gives { present 1|0, previous owner or '', its epoch or '', session, discarded session or {} }; a session is the four hashes, flat.
local meta, subs, inbound, outbound, claim = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, node, clean, expiry, now = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4], tonumber(ARGV[5])
local NEVER = 4294967295

local function session()
  return { redis.call('HGETALL', meta), redis.call('HGETALL', subs), redis.call('HGETALL', inbound), redis.call('HGETALL', outbound) }
end

local held = redis.call('HMGET', meta, 'v', 'epoch', 'owner', 'expiry', 'released')
local version, epoch, owner, held_expiry, released = held[1], held[2], held[3], held[4], held[5]
if version and version ~= '1' then
  return redis.error_reply('SCHEMA the session was written in version ' .. version .. ', this node knows 1')
end

-- The answer to this claim was lost and it comes again: the same answer, no new epoch. Without this a repeat would find the session it
-- had just made (session present, wrongly) and the discarded one would be forgotten with its inbox.
local saved = redis.call('GET', claim)
if saved then
  local was = cmsgpack.unpack(saved)
  if was.token == token and was.epoch == epoch then
    return { was.present, was.owner, was.owner_epoch, session(), was.discarded or {} }
  end
end

local present, discarded = 0, nil
if epoch then
  -- Expiry zero ends with the connection, also one that is being taken over [MQTT-3.1.2-6].
  local over = clean or (owner ~= '' and held_expiry == '0')
  if owner == '' and tonumber(held_expiry) ~= NEVER and now >= tonumber(released) + tonumber(held_expiry) * 1000 then
    over = true
  end
  if over then
    discarded = session()
    redis.call('DEL', meta, subs, inbound, outbound)
  else
    present = 1
  end
end

-- Microseconds of this server's clock, and always above the session's last: so an epoch is not used twice for a key even when the session
-- was removed in between and nothing of it is left to count from. Exact in a double until the year 2255.
local clock = redis.call('TIME')
local fresh = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
if epoch and fresh <= tonumber(epoch) then
  fresh = tonumber(epoch) + 1
end
fresh = string.format('%.0f', fresh)

redis.call('HSET', meta, 'v', '1', 'epoch', fresh, 'owner', node, 'expiry', expiry)
if present == 1 then
  redis.call('HDEL', meta, 'released', 'writer', 'seq')
  for i = 1, 4 do
    redis.call('PERSIST', KEYS[i])
  end
else
  redis.call('HSET', meta, 'incarnation', fresh)
end

local previous, previous_epoch = '', ''
if owner and owner ~= '' then
  previous, previous_epoch = owner, epoch
  -- Inside the step: a claim whose answer is lost still tells the old owner.
  redis.call('PUBLISH', ARGV[7] .. owner .. ':lost', '1 ' .. epoch .. ' ' .. fresh .. ' ' .. ARGV[8])
end

redis.call('SET', claim, cmsgpack.pack({
  token = token, epoch = fresh, present = present, owner = previous, owner_epoch = previous_epoch, discarded = discarded,
}), 'PX', ARGV[6])
return { present, previous, previous_epoch, session(), discarded or {} }
