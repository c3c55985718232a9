-- What lies under a key, and its lease where that is wanted and free.
-- KEYS: entry, lease, and the pending change where it is asked for
-- ARGV: token ('' for none), the lease in ms, '1' to take the lease also where an entry is, '1' for what is left of its life

-- A server counts each command that looks a key up as a hit or a miss, and tells it as `keymiss`. So a reader looks once,
-- and the server's hit ratio is the readers' own. MEMORY USAGE is not counted; where it is denied, nothing is known.
local function might_be_there(key) return redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 1) end

local fields = redis.pcall('HMGET', KEYS[1], 'document', 'version', 'took')
local document = not fields.err and fields[1]
local foreign = fields.err ~= nil or (not document and type(might_be_there(KEYS[1])) == 'number')
local leased = false
if ARGV[1] ~= '' and (ARGV[3] == '1' or not document) then
  leased = redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
  if not leased and redis.call('PTTL', KEYS[2]) == -1 then
    -- A lease always ends: this one is somebody else's doing, and would keep the entry empty for ever.
    leased = redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
  end
end
local pending = {false, false}
if KEYS[3] and might_be_there(KEYS[3]) then
  local found = redis.pcall('HMGET', KEYS[3], 'version', 'values')
  if not found.err then pending = found end
end
return {
  document, document and fields[2], document and fields[3], document and ARGV[4] == '1' and redis.call('PTTL', KEYS[1]),
  leased and 1 or 0, foreign and 1 or 0, pending[1], pending[2]
}
