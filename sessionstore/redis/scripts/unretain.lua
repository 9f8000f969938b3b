#!lua flags=allow-oom
-- Removes the retained message of a topic. Runs on a full server too: it makes room.
--
-- KEYS  1 messages   2 topics   3 ends   4 use   5 sent   6 gone
-- ARGV  1 number   2 topic   3 record without a message   4 how long it is known, in ms
-- Gives { 0, '' }, as retain.lua.
local refused = late(KEYS[5], ARGV[1])
if refused then
  return refused
end
local mine = read_retained(ARGV[2], ARGV[3])
if overtaken(ARGV[2], mine, KEYS[1], KEYS[6]) then
  return { 0, '' }
end
if mine.epoch > 0 then
  redis.call('SET', KEYS[6], ARGV[3], 'PX', ARGV[4])
end
take_out(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[2])
return { 0, '' }
