-- The database has a row's change: it and those that it replaces leave the queue.
-- KEYS  1 the queue (stream), 2 the row's newest change in the queue (hash)
-- ARGV  1 consumer group, 2 version that the database has, 3.. ids of the entries

local pending = redis.pcall('HGET', KEYS[2], 'version')
-- A later change came while the database took this one: readers still need it.
if type(pending) == 'string' and (tonumber(pending) or 0) <= tonumber(ARGV[2]) then redis.call('DEL', KEYS[2]) end
for place = 3, #ARGV do
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[place])
  redis.call('XDEL', KEYS[1], ARGV[place])
end
