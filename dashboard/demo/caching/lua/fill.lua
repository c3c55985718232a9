-- Put a document there if the lease is ours, and end the lease. 1: it lies there now; 0: it was refused.
-- KEYS: entry, lease. ARGV: token, ttl in ms, document, took in ms, version ('' for none)
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
-- Not counted as a miss, where nothing is there: see look.lua.
local there = redis.pcall('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', 1) and redis.pcall('HGET', KEYS[1], 'version')
local known = type(there) == 'string' and tonumber(there)
if known and ARGV[5] ~= '' and known > tonumber(ARGV[5]) then
  redis.call('DEL', KEYS[2])
  return 0
end
if type(there) == 'table' then redis.call('DEL', KEYS[1]) end -- of another type
-- This must be the first write: after another a server that is out of memory would let it pass.
local kept = redis.pcall('HSET', KEYS[1], 'document', ARGV[3], 'took', ARGV[4])
if type(kept) == 'table' then
  redis.pcall('DEL', KEYS[2])
  return kept
end
if ARGV[5] == '' then
  redis.call('HDEL', KEYS[1], 'version')
else
  redis.call('HSET', KEYS[1], 'version', ARGV[5])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2])
return 1
