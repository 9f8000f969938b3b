#!lua flags=allow-oom
-- Claims the work of a group for a worker.
--
-- KEYS  1 work
-- ARGV  1 token of this call, the same on a repeat   2 how long the claim lasts, in ms   3 most pieces
-- Gives { when to look again in ms or '', pieces as take_work has them }.
local again = nil
local taken = take_work(KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), clock(), function(t)
  if not again or t < again then
    again = t
  end
end)
return { again and whole(again) or '', taken }
