-- An entry of the queue that the database will never take goes to the dead letters, with the reason.
-- KEYS  1 the queue, 2 the dead letters (streams), 3 the row's newest change in the queue (hash), 4 its entry (hash),
--       5 the entry's lease; 3 to 5 do not count where the version is 0
-- ARGV  1 consumer group, 2 version of the change, 3 id of the entry, 4 reason, 5 how many dead letters are kept, about
-- Answer  1; 0 where there is no such entry any more

local MOST_WORDS = 64 -- names and values that are kept: of a change there are ten

local function is_not_newer(key)
  local version = redis.pcall('HGET', key, 'version')
  return type(version) == 'string' and (tonumber(version) or 0) <= tonumber(ARGV[2])
end

local found = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])
if found[1] then
  local letter = {'reason', ARGV[4], 'id', ARGV[3]}
  for place = 1, math.min(#found[1][2], MOST_WORDS) do letter[#letter + 1] = found[1][2][place] end
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', unpack(letter))
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
-- Readers have seen this change; from now on they see the database's row again.
if tonumber(ARGV[2]) > 0 then
  if is_not_newer(KEYS[3]) then redis.call('DEL', KEYS[3]) end
  if is_not_newer(KEYS[4]) then redis.call('DEL', KEYS[4], KEYS[5]) end
end
return found[1] and 1 or 0
