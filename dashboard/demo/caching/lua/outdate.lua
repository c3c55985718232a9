-- Forget entries that are older than their rows; how many were removed.
-- KEYS: entry, lease, entry, lease, ... ARGV: the version of each row, '' where it has none
local removed = 0
for i, version in ipairs(ARGV) do
  local entry, lease = KEYS[2 * i - 1], KEYS[2 * i]
  -- Not counted as a miss, where nothing is there: see look.lua.
  local there = redis.pcall('MEMORY', 'USAGE', entry, 'SAMPLES', 1) and redis.pcall('HGET', entry, 'version')
  local known = type(there) == 'string' and tonumber(there)
  if not (known and version ~= '' and known >= tonumber(version)) then
    removed = removed + redis.call('UNLINK', entry)
    redis.call('UNLINK', lease)
  end
end
return removed
