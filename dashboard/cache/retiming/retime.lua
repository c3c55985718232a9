-- One batch of a retiming: SCAN, judge and change, so that no key is judged by what it no longer is.
-- The walk that calls this is governed from outside (govern.py); it has no loop over SCAN of its own.
-- ARGV  1 cursor, 2 count, 3 pattern ('' for all), 4 type ('' for any),
--       5 TTL condition ('', 'none', 'left', 'at'), 6 and 7 its bounds in ms, 8 and 9 bounds of the size in bytes,
--       as Selection.ttl_bounds and size_bounds have them,
--       10 change ('s', '%' jitter, 'range'), 11 amount (ms, or per cent) or low (ms), 12 direction or high (ms),
--       13 seed, 14 '1' to change, '0' to try, 15 origin of the slots in ms since 1970,
--       16 the caller's clock in ms since 1970, for a user who may not ask TIME
-- Answer  {next cursor, keys SCAN gave, found, changed, unchanged, without TTL, gone, refused, lengthened, shortened,
--          given one, what was refused first, what ended the batch early: command, message ('', '' if nothing did),
--          {slot, keys, ...} before, {slot, keys, ...} after, microseconds that it took}

local pattern, kind = ARGV[3], ARGV[4]
local ttl_kind, ttl_low, ttl_high = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local size_low, size_high = tonumber(ARGV[8]), tonumber(ARGV[9])
local any_size = size_low == 0 and size_high == 9000000000000000
local change, first, second = ARGV[10], tonumber(ARGV[11]), ARGV[12]
local acts, origin = ARGV[14] == '1', tonumber(ARGV[15])
local LEAST = 1000
local LONGEST = 315360000000 -- ten years; what lives longer was not meant to expire, and no server takes much more

-- The server seeds alike for every script, so that all batches would be moved alike.
math.randomseed(tonumber(ARGV[13]))

local function bounds(pttl)
  if change == 'range' then
    local high = tonumber(second)
    if pttl >= first and pttl <= high then return nil end
    return first, high
  end
  if pttl < 0 or pttl > LONGEST then return nil end
  local reach = change == 's' and first or math.floor(pttl * first / 100)
  local low = second == 'later' and pttl or math.max(pttl - reach, math.min(pttl, LEAST))
  local high = second == 'earlier' and pttl or pttl + reach
  if high <= low then return nil end
  return low, high
end

-- slots.py
local function slot(milliseconds)
  local seconds = math.max(math.floor(milliseconds / 1000), 0)
  if seconds < 3600 then return seconds end
  if seconds < 86400 then return 3600 + math.floor((seconds - 3600) / 60) end
  if seconds < 2592000 then return 4980 + math.floor((seconds - 86400) / 3600) end
  return 5676
end

local function add(slots, pttl, now)
  if pttl >= 0 then
    local at = slot(pttl + now - origin)
    slots[at] = (slots[at] or 0) + 1
  end
end

local function flat(slots)
  local pairs_of = {}
  for at, keys in pairs(slots) do
    pairs_of[#pairs_of + 1] = at
    pairs_of[#pairs_of + 1] = keys
  end
  return pairs_of
end

local scan = {'SCAN', ARGV[1], 'COUNT', ARGV[2]}
if pattern ~= '' then
  scan[#scan + 1] = 'MATCH'
  scan[#scan + 1] = pattern
end
if kind ~= '' then
  scan[#scan + 1] = 'TYPE'
  scan[#scan + 1] = kind
end
local reply = redis.call(unpack(scan))
local keys = reply[2]

local found, changed, unchanged, without, gone, refused = 0, 0, 0, 0, 0, 0
local lengthened, shortened, given = 0, 0, 0
local refusal, ended_by, ended = '', '', ''
local before, after, seen = {}, {}, {}

local function refuse(command, message)
  refused = refused + 1
  if refusal == '' then refusal = message end
  if not of_one_key(message) then ended_by, ended = command, message end
end

local ttls = {}
for i = 1, #keys do ttls[i] = redis.pcall('PTTL', keys[i]) end
-- After the PTTLs: an expiry at a whole second is then never taken for one of the second before.
local clock = redis.pcall('TIME')
if clock.err and ttl_kind == 'at' then return clock end
local now = clock.err and tonumber(ARGV[16]) or tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function meets_size(key)
  if any_size then return true end
  local size = redis.pcall('MEMORY', 'USAGE', key)
  if type(size) == 'table' then
    refuse('MEMORY USAGE', size.err)
  elseif not size then
    gone = gone + 1
  else
    return size >= size_low and size <= size_high
  end
  return false
end

local function retime(key, pttl)
  found = found + 1
  local low, high = bounds(pttl)
  if not low then
    if pttl == -1 then without = without + 1 else unchanged = unchanged + 1 end
    add(before, pttl, now)
    add(after, pttl, now)
    return
  end
  local new = low + math.floor(math.random() * (high - low + 1))
  if acts then
    local done = redis.pcall('PEXPIRE', key, string.format('%.0f', new))
    if type(done) == 'table' then
      add(before, pttl, now)
      add(after, pttl, now)
      return refuse('PEXPIRE', done.err)
    end
    if done == 0 then
      found, gone = found - 1, gone + 1
      return
    end
  end
  changed = changed + 1
  if pttl == -1 then
    given = given + 1
  elseif new > pttl then
    lengthened = lengthened + 1
  elseif new < pttl then
    shortened = shortened + 1
  end
  add(before, pttl, now)
  add(after, new, now)
end

for i = 1, #keys do
  local key, pttl = keys[i], ttls[i]
  if ended ~= '' then break end
  if not seen[key] then
    seen[key] = true
    if type(pttl) == 'table' then
      refuse('PTTL', pttl.err)
    elseif pttl == -2 then
      gone = gone + 1
    elseif meets_ttl(ttl_kind, ttl_low, ttl_high, pttl, now) and meets_size(key) then
      retime(key, pttl)
    end
  end
end

return {reply[1], #keys, found, changed, unchanged, without, gone, refused, lengthened, shortened, given,
        refusal, ended_by, ended, flat(before), flat(after), microseconds() - begun}
