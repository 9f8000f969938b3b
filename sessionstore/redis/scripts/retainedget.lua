#!lua flags=no-writes
-- Reads retained messages that have not expired, as many as fit.
--
-- KEYS  1 messages
-- ARGV  1 most bytes; one message is given whatever its size   2... topics
-- Gives { how many topics are done, { topic, record, ... } }.
local at, bytes, found = clock(), 0, {}
for i = 2, #ARGV do
  local size = redis.call('HSTRLEN', KEYS[1], ARGV[i])
  if size > 0 then
    if bytes > 0 and bytes + size > tonumber(ARGV[1]) then
      return { i - 2, found }
    end
    bytes = bytes + size
    local record = redis.call('HGET', KEYS[1], ARGV[i])
    local expires = read_retained(ARGV[i], record).expires
    if expires == 0 or at < expires then
      found[#found + 1] = ARGV[i]
      found[#found + 1] = record
    end
  end
end
return { #ARGV - 1, found }
