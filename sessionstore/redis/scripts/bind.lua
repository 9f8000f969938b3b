#!lua
-- Binds a client identifier to a principal, and a credential to the client identifier.
--
-- KEYS  1 client identifier   2 credential   3 client identifier that the credential gives up, or the first key again
--       4 index of the client identifiers of the principal   5 sent
-- ARGV  1 number   2 principal   3 client identifier   4 made by the server 1|0   5 how long in ms
--       6 with a credential 1|0   7 how long that in ms   8 what the credential is bound to and gives up, or ''
--       9 how many client identifiers the principal may have in the index, or 0   10 client identifier as in the index
-- Gives { 1, '' }; { 0 another principal has it, who }; { -1 it has, and the server has made it, who }; { 2, what the credential is bound to };
-- { 3, '' } the principal has as many as it may.
local refused = late(KEYS[5], ARGV[1])
if refused then
  return refused
end
local held = redis.call('HMGET', KEYS[1], 'v', 'principal', 'assigned', 'generation')
if held[1] and held[1] ~= '1' then
  return redis.error_reply('SCHEMA the binding was written in version ' .. held[1] .. ', this node knows 1')
end
if held[2] and held[2] ~= ARGV[2] then
  return { held[3] == '1' and -1 or 0, held[2] }
end

local generation = held[4]
local most = tonumber(ARGV[9])
if most > 0 and not generation and redis.call('ZCARD', KEYS[4]) >= most then
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', clock())
  if redis.call('ZCARD', KEYS[4]) >= most then
    return { 3, '' }
  end
end
if ARGV[6] == '1' then
  -- A credential keeps "<generation> <client identifier>". Whether that generation is still there is looked up by the caller: it may be any key.
  local has = redis.call('HGET', KEYS[2], 'bound')
  if has and string.match(has, '^%d+ (.*)$') ~= ARGV[3] then
    if has ~= ARGV[8] then
      return { 2, has }
    end
    local given = redis.call('HMGET', KEYS[3], 'generation', 'assigned')
    if given[2] == '1' and given[1] == string.match(has, '^%d+') then
      redis.call('DEL', KEYS[3])
    end
  end
end

if not generation then
  generation = next_epoch(nil)
  redis.call('HSET', KEYS[1], 'v', '1', 'principal', ARGV[2], 'assigned', ARGV[4], 'generation', generation)
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
if most > 0 then
  redis.call('ZADD', KEYS[4], clock() + tonumber(ARGV[5]), ARGV[10])
  if redis.call('PTTL', KEYS[4]) < tonumber(ARGV[5]) then
    redis.call('PEXPIRE', KEYS[4], ARGV[5])
  end
end
if ARGV[6] == '1' then
  redis.call('HSET', KEYS[2], 'v', '1', 'bound', generation .. ' ' .. ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
return { 1, '' }
