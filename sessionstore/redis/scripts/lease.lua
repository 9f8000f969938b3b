#!lua flags=allow-oom
-- Keeps the lease of one life of a node.
--
-- KEYS  1 lease   2 life
-- ARGV  1 the life begins, '1' or '0'   2 how long in ms
-- Gives 1 kept, 0 this life is over: somebody swept it.
if ARGV[1] == '0' and redis.call('EXISTS', KEYS[2]) == 0 then
  return 0
end
redis.call('SET', KEYS[2], '1')
redis.call('SET', KEYS[1], '1', 'PX', ARGV[2])
return 1
