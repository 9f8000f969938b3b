#!lua
-- Applies the ops of one or more Writes of one owner, all or none.
--
-- KEYS  1 meta   2 subs   3 in   4 out
-- ARGV  1 epoch   2 writer, the store instance   3 seq, rising within the writer   4 most subscriptions   5 subscriptions put here
--       6... the ops, three each: what, field, value
-- Gives 1 applied (or applied before), 0 fenced, -1 full.
local meta = KEYS[1]
local held = redis.call('HMGET', meta, 'epoch', 'owner', 'writer', 'seq')
if held[1] ~= ARGV[1] or held[2] == '' then
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

local ops = {
  -- The order in which subscriptions were first made stands before the record.
  ['s+'] = function(field, value)
    local old = redis.call('HGET', KEYS[2], field)
    local order = old and string.match(old, '^%d+') or redis.call('HINCRBY', meta, 'made', 1)
    redis.call('HSET', KEYS[2], field, order .. ':' .. value)
  end,
  ['s-'] = function(field) redis.call('HDEL', KEYS[2], field) end,
  ['i+'] = function(field, value) redis.call('HSET', KEYS[3], field, value) end,
  ['i-'] = function(field) redis.call('HDEL', KEYS[3], field) end,
  ['o+'] = function(field, value) redis.call('HSET', KEYS[4], field, value) end,
  ['o-'] = function(field) redis.call('HDEL', KEYS[4], field) end,
  -- A field of the session itself.
  ['m'] = function(field, value) redis.call('HSET', meta, field, value) end,
}
for i = 6, #ARGV, 3 do
  ops[ARGV[i]](ARGV[i + 1], ARGV[i + 2])
end
return 1
