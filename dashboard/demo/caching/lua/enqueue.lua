-- Takes a change of a row into the queue, and shows it to readers in the same moment: everything of it or nothing.
-- KEYS  1 the queue (stream), 2 the row's newest change in the queue (hash), 3 the row's entry (hash), 4 its lease
-- ARGV  1 version of the document that the caller has seen, 2 its token of the lease, 3 by how much the version grows,
--       4 how long the queue may get, 5 kind of row, 6 row, 7 values (6 and 7 as JSON), 8 the changed document,
--       9 its time to live in ms, 10 ms that its load took
-- Answer  the change's version; 0: nobody here knows the row's version, look again; -1: the queue is full

local seen, token, step = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])

local function version_in(key)
  -- Not counted as a miss, where nothing is there: see look.lua.
  local found = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 1) and redis.pcall('HGET', key, 'version')
  return type(found) == 'string' and tonumber(found) or 0 -- something else under the key has no version
end

if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[4]) then return -1 end

local known = math.max(version_in(KEYS[2]), version_in(KEYS[3]))
-- What was read from the database counts alone only while our lease is here: then nobody has changed the row since.
local is_ours = redis.call('GET', KEYS[4]) == token
if known == 0 and not is_ours then return 0 end
local newest = math.max(known, seen)

-- XADD is the first to write: out of memory it is refused before anything else has changed.
local version = string.format('%.0f', newest + step)
redis.call('XADD', KEYS[1], '*', 'kind', ARGV[5], 'row', ARGV[6], 'values', ARGV[7], 'version', version, 'key', KEYS[3])
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[2], 'version', version, 'values', ARGV[7])
-- The document was made from what the caller has seen. If that is not the newest it may not be kept; then the next
-- reader loads the row and lays the newest change over it.
if is_ours and newest == seen then
  redis.call('HSET', KEYS[3], 'document', ARGV[8], 'version', version, 'took', ARGV[10])
  redis.call('PEXPIRE', KEYS[3], ARGV[9])
end
return tonumber(version)
