#!lua
-- Makes a message the retained one of its topic.
--
-- KEYS  1 messages   2 topics   3 ends   4 use   5 sent   6 gone
-- ARGV  1 number   2 topic   3 record   4 most messages of the tenant   5 most bytes   6 most messages of a principal   7 most bytes
--       8 most expired messages to remove for room   9 name of a hint
-- Gives { 0, name of a hint to be set or '' }; { the limit met from 1, '' }: then nothing was changed, but for what had expired.
local messages, topics, ends, use = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local refused = late(KEYS[5], ARGV[1])
if refused then
  return refused
end
local topic, record = ARGV[2], ARGV[3]
local fresh = read_retained(topic, record)
if overtaken(topic, fresh, messages, KEYS[6]) then
  return { 0, '' }
end

-- The limit that the message does not fit under, beside what is there: only what adds to a share is refused for it.
local function met()
  local more_m, more_b = 1, fresh.size
  local own_m, own_b = more_m, more_b
  local there = redis.call('HGET', messages, topic)
  if there then
    local old = read_retained(topic, there)
    more_m, more_b = 0, fresh.size - old.size
    if old.principal == fresh.principal then
      own_m, own_b = more_m, more_b
    end
  end
  local all_m, all_b = share_of(use, 't')
  local used_m, used_b = share_of(use, 'p' .. fresh.principal)
  for i, f in ipairs({ { all_m, more_m }, { all_b, more_b }, { used_m, own_m }, { used_b, own_b } }) do
    if f[2] > 0 and f[1] + f[2] > tonumber(ARGV[3 + i]) then
      return i
    end
  end
  return 0
end

local limit = met()
if limit > 0 and trim_retained(messages, topics, ends, use, ARGV[8]) > 0 then
  limit = met()
end
if limit > 0 then
  return { limit, '' }
end

take_out(messages, topics, ends, use, topic)
redis.call('HSET', messages, topic, record)
redis.call('ZADD', topics, 0, topic)
count_in(use, 't', 1, fresh.size)
count_in(use, 'p' .. fresh.principal, 1, fresh.size)
if fresh.expires == 0 then
  return { 0, '' }
end
redis.call('ZADD', ends, whole(fresh.expires), topic)
-- Who trims finds the tenant by a hint. The first to need one names it; all who come before it is known to be there set it.
local held = redis.call('HMGET', use, 'hint', 'known')
if not held[1] then
  redis.call('HSET', use, 'hint', ARGV[9])
  return { 0, ARGV[9] }
end
return { 0, held[2] and '' or held[1] }
