#!lua flags=allow-oom
-- Removes the retained message of a topic. Runs on a full server too: it makes room.
--
-- KEYS  1 messages   2 topics   3 ends   4 use   5 sent
-- ARGV  1 number   2 topic
-- Gives { 0, '' }, as retain.lua.
local refused = late(KEYS[5], ARGV[1])
if refused then
  return refused
end
take_out(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[2])
return { 0, '' }
