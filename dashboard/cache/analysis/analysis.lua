-- One batch of a keyspace, added up where it lies: SCAN, and for each key its namespace, TTL, size and type.
-- Two numbers of each key leave the server, else sums. script.py calls it and says what it takes and gives;
-- plain.py does the same sums from outside where scripts are denied, and a test compares the two.
local call, gsub, sub, find, frexp = redis.call, string.gsub, string.sub, string.find, math.frexp
local cursor, count, match, only, separator = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local origin, flags, every, biggest = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local long_name, large_value, many_members = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local ttl_kind, ttl_low, ttl_high = ARGV[13], tonumber(ARGV[14]), tonumber(ARGV[15])
local size_low, size_high = tonumber(ARGV[16]), tonumber(ARGV[17])
local phase = tonumber(ARGV[19])
local LOOKED_AT, NAMED, ENDLESS = 512, 1000, 9000000000000000

local function has(flag) return find(flags, flag, 1, true) ~= nil end
local ttls, memory, object, lengths, typed = has('p'), has('m'), has('o'), has('l'), has('t')
local kinds_told = has('k')
local activity = has('f') and 'FREQ' or has('i') and 'IDLETIME'

-- Rules: {low, high, parts}; those without digits are decided by a key's shape, the others by the key.
local by_shape, by_key, standing = {}, {}, {}
local at = 21
for number = 1, tonumber(ARGV[20]) do
  local rule = {number = number, low = tonumber(ARGV[at]), high = tonumber(ARGV[at + 1]), parts = {}}
  local digits, parts = ARGV[at + 2] == '1', tonumber(ARGV[at + 3])
  for part = 1, parts do rule.parts[part] = ARGV[at + 3 + part] end
  at = at + 4 + parts
  local list = digits and by_key or by_shape
  list[#list + 1] = rule
  standing[number] = {0, 0, 0, 0, -1}
end

local function covers(rule, key)
  local parts = rule.parts
  local first, last = parts[1], parts[#parts]
  if #parts == 1 then return key == first end
  if #key < #first + #last or sub(key, 1, #first) ~= first then return false end
  if last ~= '' and sub(key, -#last) ~= last then return false end
  local from, till = #first + 1, #key - #last
  for part = 2, #parts - 1 do
    local begins, ends = find(key, parts[part], from, true)
    if not begins or ends > till then return false end
    from = ends + 1
  end
  return true
end

local function covering(rules, key)
  local found
  for _, rule in ipairs(rules) do
    if covers(rule, key) then
      found = found or {}
      found[#found + 1] = rule
    end
  end
  return found
end

local function stand(rule, pttl)
  local place = standing[rule.number]
  local which = pttl < 0 and 4 or pttl < rule.low and 2 or pttl > rule.high and 3 or 1
  place[which] = place[which] + 1
  if pttl > place[5] then place[5] = pttl end
end

-- Keys are put together by their shape, in which each run of digits is one 0: what fold.py makes of a name depends on
-- that alone, so the caller can fold one name of each shape. A part that is folded whole by its looks is made alike
-- too, or each session id would have a shape of its own; and a version (v2) is no number.
-- Part by part, in steps that are linear in the part: anybody may choose a name.
local function coarse_part(part)
  if find(part, '=', 1, true) then return '=' end
  if find(part, '0', 1, true) and not find(part, '[^0-9A-Fa-f.,_%-]') then return '0' end
  return part
end
local function coarse(shape)
  local parts, from = {}, 1
  while true do
    local begins, ends = find(shape, separator, from, true)
    if not begins then break end
    parts[#parts + 1] = coarse_part(sub(shape, from, begins - 1))
    from = ends + 1
  end
  parts[#parts + 1] = coarse_part(sub(shape, from))
  return table.concat(parts, separator)
end
local function digits(letter, run)
  if letter == 'v' or letter == 'V' then return letter .. run end
  return letter .. '0'
end

local scan = {'SCAN', cursor, 'COUNT', count}
if match ~= '' then scan[#scan + 1], scan[#scan + 2] = 'MATCH', match end
if only ~= '' then scan[#scan + 1], scan[#scan + 2] = 'TYPE', only end
local reply = call(unpack(scan))
local keys = reply[2]

-- The type of a key that is no string. A second SCAN of the same cursor goes over the same keys, and one that
-- answers with few of them costs a tenth of TYPE for each.
local kinds = {}
if only ~= '' then typed = false end
if typed then
  local again = {'SCAN', cursor, 'COUNT', count, 'TYPE', ''}
  if match ~= '' then again[#again + 1], again[#again + 2] = 'MATCH', match end
  for _, kind in ipairs({'hash', 'list', 'set', 'zset', 'stream'}) do
    again[6] = kind
    local some = call(unpack(again))
    for _, key in ipairs(some[2]) do kinds[key] = kind end
    -- Not the same keys, if a move to a larger or smaller table has just come to its end.
    if some[1] ~= reply[1] then typed = false end
  end
end
local LENGTH = {hash = 'HLEN', list = 'LLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN'}

-- By the caller's clock where this user may not ask for the server's.
local time = redis.pcall('TIME')
local now = time.err and tonumber(ARGV[18]) or time[1] * 1000 + math.floor(time[2] / 1000)
if origin == 0 then origin = now end
local offset = now - origin
if ttl_kind == 'at' then ttl_low, ttl_high = ttl_low - now, ttl_high - now end

-- A row: shape, keys, bytes, bytes without TTL, the beginning of one of its keys, its number, types, oddities.
local rows, row_by_shape, row_by_coarse, versioned, rules_of = {}, {}, {}, {}, {}
local function row_of(name, key)
  local row = row_by_coarse[name]
  if not row then
    row = {name, 0, 0, 0, sub(key, 1, LOOKED_AT + 1), #rows * 8192, {}, {}}
    row_by_coarse[name] = row
    rows[#rows + 1] = row
  end
  return row
end

local function note(row, place, key)
  local odd = row[8]
  odd[place], odd[place + 4] = (odd[place] or 0) + 1, odd[place + 4] or sub(key, 1, 200)
end

local codes, sizes = {}, {}
local type_memory, encodings, active, largest = {}, {}, {}, {}
local asked, gone, taken, uncounted = 0, 0, 0, 0
local rule_count = #by_shape + #by_key
local all_wanted = ttl_kind == '' and size_low == 0 and size_high == ENDLESS
local all_strings = typed and next(kinds) == nil
-- Where digits separate parts, a shape does not tell where a part ends.
local shaped = not find(separator, '%d')
-- What is rare is looked at only beyond these: one comparison each instead of two.
local remarkable = math.min(large_value, biggest)

for index = 1, #keys do
  local key = keys[index]
  local pttl = ttls and call('PTTL', key) or -1
  local bytes = memory and pttl ~= -2 and call('MEMORY', 'USAGE', key) or 0
  local wanted = all_wanted
  if pttl == -2 or not bytes then
    gone = gone + 1
    wanted = false
  elseif not all_wanted then
    wanted = bytes >= size_low and bytes <= size_high
    if ttl_kind == 'none' then wanted = wanted and pttl == -1
    elseif ttl_kind ~= '' then wanted = wanted and pttl >= 0 and pttl >= ttl_low and pttl <= ttl_high end
  end
  if wanted then
    taken = taken + 1
    local length = #key
    local text = length <= LOOKED_AT and key or sub(key, 1, LOOKED_AT)
    local shape = shaped and gsub(text, '%d+', '0') or text
    local row = row_by_shape[shape]
    if not row then
      if versioned[shape] == nil then versioned[shape] = find(shape, '[vV]0') ~= nil end
      if not shaped then
        row = row_of('as it is ' .. text, key)
      elseif versioned[shape] then
        row = row_of('version ' .. gsub(text, '(%D?)(%d+)', digits), key)
      else
        row = row_of(length <= LOOKED_AT and 'whole ' .. coarse(shape) or 'cut ' .. shape, key)
        if length <= LOOKED_AT then row_by_shape[shape] = row end
      end
    end
    row[2], row[3] = row[2] + 1, row[3] + bytes
    local slot
    if pttl < 0 then
      slot = 5677
      row[4] = row[4] + bytes
    else
      local ms = pttl + offset
      if ms < 3600000 then slot = ms < 0 and 0 or (ms - ms % 1000) / 1000
      elseif ms < 86400000 then ms = ms - 3600000 slot = 3600 + (ms - ms % 60000) / 60000
      elseif ms < 2592000000 then ms = ms - 86400000 slot = 4980 + (ms - ms % 3600000) / 3600000
      else slot = 5676 end
    end
    codes[taken], sizes[taken] = row[6] + slot, bytes
    local kind, members
    if not all_strings then
      kind = kinds[key]
      if not typed then kind = only ~= '' and only or (kinds_told and call('TYPE', key).ok or 'unknown') end
    end
    if kind and kind ~= 'string' then
      row[7][kind] = (row[7][kind] or 0) + 1
      type_memory[kind] = (type_memory[kind] or 0) + bytes
      if lengths and LENGTH[kind] then
        members = redis.pcall(LENGTH[kind], key)
        if type(members) ~= 'number' then members, uncounted = nil, uncounted + 1
        elseif members == 1 then note(row, 3, key)
        elseif members >= many_members then note(row, 4, key) end
      end
    end
    if length > long_name then note(row, 1, key) end
    if bytes > remarkable then
      if bytes > large_value then note(row, 2, key) end
      if bytes > biggest then largest[#largest + 1] = {sub(key, 1, NAMED), kind or 'string', bytes, pttl, members or -1, length} end
    end
    -- Longer names are held against no rule: fifty rules over 100 kB would hold the server for milliseconds.
    if rule_count > 0 and length <= LOOKED_AT then
      local rules = rules_of[shape]
      if rules == nil then
        rules = covering(by_shape, shape) or false
        rules_of[shape] = rules
      end
      if rules then for _, rule in ipairs(rules) do stand(rule, pttl) end end
      for _, rule in ipairs(by_key) do if covers(rule, key) then stand(rule, pttl) end end
    end
    -- Of strings one in so many is asked, of collections each: there are fewer of them, and some are very large.
    local sampled = (index + phase) % every == 0
    if object and (sampled or (kind and kind ~= 'string')) then
      local form = redis.pcall('OBJECT', 'ENCODING', key)
      local name = (kind or 'string') .. ' ' .. (type(form) == 'string' and form or 'unknown')
      local encoding = encodings[name] or {0, 0, 0}
      encodings[name] = encoding
      encoding[1], encoding[2], encoding[3] = encoding[1] + 1, encoding[2] + bytes, encoding[3] + bytes * bytes
      if sampled then asked = asked + 1 end
      if sampled and activity then
        local value = redis.pcall('OBJECT', activity, key)
        if type(value) == 'number' then
          local _, exponent = frexp(value)
          local group = active[exponent] or {0, 0, 0}
          active[exponent] = group
          group[1], group[2], group[3] = group[1] + 1, group[2] + bytes, group[3] + bytes * bytes
        end
      end
    end
  end
end

local function pairs_of(map)
  local flat = {}
  for name, value in pairs(map) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  return flat
end
local function squares_as_text(groups)
  for _, group in pairs(groups) do group[3] = string.format('%.0f', group[3]) end
end
squares_as_text(encodings)
squares_as_text(active)
for _, row in ipairs(rows) do
  row[7], row[8] = pairs_of(row[7]), pairs_of(row[8])
end
return {reply[1], #keys, now, gone, asked, codes, sizes, rows, pairs_of(type_memory), pairs_of(encodings),
  pairs_of(active), largest, standing, uncounted, microseconds() - begun}
