-- Removes the queue, if nothing waits in it, and its dead letters. 1: they are gone; 0: something waits.
-- KEYS  1 the queue, 2 the dead letters (streams)

local waits = redis.pcall('XLEN', KEYS[1])
if type(waits) == 'number' and waits > 0 then return 0 end
redis.call('UNLINK', KEYS[1], KEYS[2])
return 1
