#!lua flags=allow-oom
-- Ends a life of a node that has lost its lease, and gives some of its sessions.
--
-- KEYS  1 lease   2 life   3 sessions
-- ARGV  1 most
-- Gives { 1 dead | 0 it lives, registrations }.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return { 0, {} }
end
redis.call('DEL', KEYS[2])
return { 1, redis.call('SRANDMEMBER', KEYS[3], ARGV[1]) }
