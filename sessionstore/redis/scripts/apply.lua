#!lua
-- Applies the ops of one or more Writes of one owner, all or none; of an owner that lost the session only what it says of the bus.
--
-- KEYS  1 meta   2 subs   3 in   4 out
-- ARGV  1 epoch   2 writer, the store instance   3 seq, rising within the writer   4 most subscriptions   5 subscriptions put here
--       6... the ops, three each: what, field, value
-- Gives 1 applied (or applied before), 0 fenced, -1 full.
local meta = KEYS[1]
local held = redis.call('HMGET', meta, 'epoch', 'owner', 'writer', 'seq')

-- The bus has taken the message: its record, value with the mark, is there with this version and message-id or it is another's.
local function accept(field, value)
  local old = redis.call('HGET', KEYS[3], field)
  if old and string.sub(old, 1, 1) == string.sub(value, 1, 1) and string.sub(old, 3) == string.sub(value, 3) then
    redis.call('HSET', KEYS[3], field, value)
  end
end

if held[1] ~= ARGV[1] or held[2] == '' then
  for i = 6, #ARGV, 3 do
    if ARGV[i] == 'i!' then
      accept(ARGV[i + 1], ARGV[i + 2])
    end
  end
  return 0
end
-- A repeat whose first copy was applied, or a copy that a broken connection delivered late, after younger writes: either is done.
if held[3] == ARGV[2] and tonumber(held[4]) >= tonumber(ARGV[3]) then
  return 1
end
local puts = tonumber(ARGV[5])
if puts > 0 and redis.call('HLEN', KEYS[2]) + puts > tonumber(ARGV[4]) then
  return -1
end
redis.call('HSET', meta, 'writer', ARGV[2], 'seq', ARGV[3])

for i = 6, #ARGV, 3 do
  local what, field, value = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if what == 'i+' then
    redis.call('HSET', KEYS[3], field, value)
  elseif what == 'i!' then
    accept(field, value)
  elseif what == 'i-' then
    redis.call('HDEL', KEYS[3], field)
  elseif what == 'o+' then
    redis.call('HSET', KEYS[4], field, value)
  elseif what == 'o-' then
    redis.call('HDEL', KEYS[4], field)
  elseif what == 's+' then
    -- The order in which subscriptions were first made stands before the record.
    local old = redis.call('HGET', KEYS[2], field)
    local order = old and string.match(old, '^%d+') or redis.call('HINCRBY', meta, 'made', 1)
    redis.call('HSET', KEYS[2], field, order .. ':' .. value)
  elseif what == 's-' then
    redis.call('HDEL', KEYS[2], field)
  else -- 'm', a field of the session itself
    redis.call('HSET', meta, field, value)
  end
end
return 1
