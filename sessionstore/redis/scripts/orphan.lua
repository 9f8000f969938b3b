#!lua flags=allow-oom
-- Releases a session whose owner's node died, unless it has another owner by now.
--
-- KEYS  1 meta   2 subs   3 in   4 out   5 claim   6 will   7 work
-- ARGV  1 node   2 registration of the claim   3 grace of wills in ms   4 margin of the backstop in ms   5 name of a timer hint
-- Gives { 1 released | 0 not | -1 a later version's, for its nodes to sweep, when the hint is due in ms or '' }: the latter also when
-- somebody else released it and may have died before the hint was set.
local meta, willkey, work = KEYS[1], KEYS[6], KEYS[7]
local at, taken, due = clock(), 0, nil
local held = redis.call('HMGET', meta, 'v', 'epoch', 'owner', 'expiry', 'inbox', 'reg')
if held[1] and held[1] ~= '1' then
  return { -1, '' }
end
local will = read_will(willkey)
local owes = (held[5] or '') ~= '' or groups_of(meta) -- at its end

if held[1] and held[3] == ARGV[1] and held[6] == ARGV[2] then
  taken = 1
  local expiry = tonumber(held[4])
  if expiry == 0 and not will and not owes then
    redis.call('DEL', meta, KEYS[2], KEYS[3], KEYS[4], KEYS[5])
  else
    local ends = at + expiry * 1000
    if will then
      -- The device has the grace to come back, even when its session is over by now.
      will.grace = at + tonumber(ARGV[3])
      will.at = math.max(at + math.min(tonumber(will.delay), expiry) * 1000, will.grace)
      ends = math.max(ends, will.at)
      redis.call('HSET', willkey, 'at', whole(will.at), 'grace', whole(will.grace))
    end
    redis.call('HSET', meta, 'epoch', next_epoch(held[2]), 'owner', '', 'released', whole(at), 'hint', ARGV[5])
    redis.call('HDEL', meta, 'reg', 'writer', 'seq')
    if expiry ~= NEVER then
      redis.call('HSET', meta, 'ends', whole(ends))
      local keep = whole(ends - at + ((will or owes) and WORK_KEPT or tonumber(ARGV[4])))
      for _, key in ipairs({ meta, KEYS[2], KEYS[3], KEYS[4], willkey }) do
        redis.call('PEXPIRE', key, keep)
      end
    end
  end
end

if redis.call('EXISTS', work) == 1 then
  due = at
elseif redis.call('HGET', meta, 'owner') == '' then
  local ends = redis.call('HGET', meta, 'ends')
  if will then
    due = will.at
  elseif ends and owes then
    due = tonumber(ends)
  end
end
return { taken, due and whole(due) or '' }
