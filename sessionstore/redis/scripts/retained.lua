-- What the steps of retained messages share; it stands below the first line and lib.lua. A record is: version, time of expiry in ms or 0 (6
-- bytes), lengths of principal and client id (2 bytes each), epoch (8 bytes), principal, client id, message.
local HEAD = 19

local function read_retained(topic, record)
  if string.byte(record) ~= 1 then
    error({ err = 'SCHEMA the retained message was written in version ' .. string.byte(record) .. ', this node knows 1' })
  end
  local expires, principal, client, epoch = struct.unpack('>I6I2I2I8', record, 2)
  return {
    expires = expires, principal = string.sub(record, HEAD + 1, HEAD + principal), epoch = epoch,
    client = string.sub(record, HEAD + principal + 1, HEAD + principal + client), size = #topic + #record - HEAD,
  }
end

-- Whether the publisher of mine has put or removed the message under a higher epoch since: mine comes late.
local function overtaken(topic, mine, messages, gone)
  for _, record in ipairs({ redis.call('HGET', messages, topic) or '', redis.call('GET', gone) or '' }) do
    if mine.epoch > 0 and record ~= '' then
      local other = read_retained(topic, record)
      if other.epoch > mine.epoch and other.principal == mine.principal and other.client == mine.client then
        return true
      end
    end
  end
  return false
end

-- A share of a quota: 't' is the tenant's, 'p' and a principal that one's.
local function share_of(use, field)
  local messages, bytes = string.match(redis.call('HGET', use, field) or '0 0', '^(%d+) (%d+)$')
  return tonumber(messages), tonumber(bytes)
end

local function count_in(use, field, messages, bytes)
  local m, b = share_of(use, field)
  if m + messages <= 0 then
    redis.call('HDEL', use, field)
  else
    redis.call('HSET', use, field, whole(m + messages) .. ' ' .. whole(b + bytes))
  end
end

-- Takes a retained message away, and gives the size of its record.
local function take_out(messages, topics, ends, use, topic)
  redis.call('ZREM', ends, topic)
  local record = redis.call('HGET', messages, topic)
  if not record then
    return 0
  end
  local old = read_retained(topic, record)
  redis.call('HDEL', messages, topic)
  redis.call('ZREM', topics, topic)
  count_in(use, 't', -1, -old.size)
  count_in(use, 'p' .. old.principal, -1, -old.size)
  return #record
end

-- How much of what has expired one step looks at: it is loaded to be counted.
local TRIM_BYTES = 4 * 1024 * 1024

-- Removes up to most messages that have expired; gives how many, and whether more may be there.
local function trim_retained(messages, topics, ends, use, most)
  local over = redis.call('ZRANGE', ends, '-inf', whole(clock()), 'BYSCORE', 'LIMIT', 0, most)
  local bytes = 0
  for i, topic in ipairs(over) do
    bytes = bytes + take_out(messages, topics, ends, use, topic)
    if bytes > TRIM_BYTES then
      return i, true
    end
  end
  return #over, #over == tonumber(most)
end
