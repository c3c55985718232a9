-- Removes keys or lowers their TTLs, each judged in the moment in which it is changed.
-- ARGV  1 'UNLINK', 'DEL' or 'lower', 2 and 3 between which TTLs in ms the new one is drawn, 4 seed,
--       5 TTL condition ('', 'none', 'left', 'at'), 6 and 7 its bounds in ms, 8 and 9 bounds of the size in bytes,
--       10 the caller's clock in ms since 1970, 11 parts of the window that are counted,
--       12 the last 8 bytes of each key's DUMP (a CRC-64), in one string: a key that has others now is left; '' for none,
--       13 how many keys go into one command, 14 type condition ('' for any), 15.. keys
-- Answer  {done, unchanged, gone or no longer selected, {places of keys that have changed}, {places of refused keys},
--          {places of keys that are served elsewhere}, what was refused first, what ended it early: command, message ('', '' if nothing did),
--          {part of the window, keys, ...}, {places of keys that are left as they are}, keys dealt with from the first on,
--          microseconds that it took}

local FIRST = 15 -- the place of the first key
local verb, low, high = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local ttl_kind, ttl_low, ttl_high = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local size_low, size_high = tonumber(ARGV[8]), tonumber(ARGV[9])
local any_size = size_low == 0 and size_high == 9000000000000000
local parts, sums = tonumber(ARGV[11]), ARGV[12]
local checked = sums ~= ''
local together, kind = tonumber(ARGV[13]), string.lower(ARGV[14])
local asks_ttl = verb == 'lower' or ttl_kind ~= ''

-- The server seeds alike for every script, so that all batches would be spread alike.
math.randomseed(tonumber(ARGV[4]))

local done, unchanged, gone, dealt = 0, 0, 0, 0
local changed, refused, elsewhere, left, counted = {}, {}, {}, {}, {}
local refusal, ended_by, ended = '', '', ''
local now = ttl_kind == 'at' and clock_or(tonumber(ARGV[10])) or 0

local function refuse(place, command, message)
  if not_here(message) then
    elsewhere[#elsewhere + 1] = place
  elseif of_one_key(message) then
    refused[#refused + 1] = place
    if refusal == '' then refusal = message end
  else
    ended_by, ended = command, message -- and this key is not dealt with
  end
end

local function leave(place)
  gone = gone + 1
  left[#left + 1] = place
end

local function same(place, key)
  local dump = redis.pcall('DUMP', key)
  if type(dump) == 'table' then return refuse(place, 'DUMP', dump.err) end
  if not dump then return leave(place) end
  if string.sub(dump, -8) == string.sub(sums, place * 8 + 1, place * 8 + 8) then return true end
  changed[#changed + 1] = place
end

local function selected(place, key, pttl)
  if not meets_ttl(ttl_kind, ttl_low, ttl_high, pttl, now) then return leave(place) end
  if kind ~= '' then
    local reply = redis.pcall('TYPE', key)
    if reply.err then return refuse(place, 'TYPE', reply.err) end
    if string.lower(reply.ok) ~= kind then return leave(place) end
  end
  if any_size then return true end
  local size = redis.pcall('MEMORY', 'USAGE', key)
  if type(size) == 'table' then return refuse(place, 'MEMORY USAGE', size.err) end
  if size and size >= size_low and size <= size_high then return true end
  leave(place)
end

local function lower(place, key, pttl)
  local new = low + math.floor(math.random() * (high - low + 1))
  if pttl ~= -1 and pttl <= new then
    unchanged = unchanged + 1
    left[#left + 1] = place
    return
  end
  local reply = redis.pcall('PEXPIRE', key, string.format('%.0f', new))
  if type(reply) == 'table' then return refuse(place, 'PEXPIRE', reply.err) end
  if reply == 0 then return leave(place) end
  done = done + 1
  local part = math.min(math.floor(new * parts / math.max(high, 1)), parts - 1)
  counted[part] = (counted[part] or 0) + 1
end

local function remove(place, key)
  local reply = redis.pcall(verb, key)
  if type(reply) == 'table' then return refuse(place, verb, reply.err) end
  if reply == 0 then return leave(place) end
  done = done + 1
end

local function act(place, key)
  local pttl = 0
  if asks_ttl then
    pttl = redis.pcall('PTTL', key)
    if type(pttl) == 'table' then return refuse(place, 'PTTL', pttl.err) end
    if pttl == -2 then return leave(place) end
  end
  if not selected(place, key, pttl) then return end
  if checked and not same(place, key) then return end
  if verb == 'lower' then return lower(place, key, pttl) end
  remove(place, key)
end

-- Most often nothing is to be known of a key but that it has not changed. Then what is the same goes in one command, which
-- spares most of a script's own time; where that is refused, each key is dealt with by itself.
local function remove_together(keys, places, first, last)
  local reply = redis.pcall(verb, unpack(keys, first, last))
  if type(reply) ~= 'table' then
    done = done + reply
    dealt = places[last] + 1
    return
  end
  for i = first, last do
    remove(places[i], keys[i])
    if ended ~= '' then return end
    dealt = places[i] + 1
  end
end

local function remove_the_same()
  local keys, places = {}, {}
  for i = FIRST, #ARGV do
    if ended ~= '' then return end
    if same(i - FIRST, ARGV[i]) then
      keys[#keys + 1] = ARGV[i]
      places[#places + 1] = i - FIRST
    end
  end
  for first = 1, #keys, together do
    if ended ~= '' then return end
    remove_together(keys, places, first, math.min(first + together - 1, #keys))
  end
  if ended == '' then dealt = #ARGV - FIRST + 1 end
end

local first_key = FIRST
if checked and verb ~= 'lower' and ttl_kind == '' and any_size and kind == '' then
  remove_the_same()
  first_key = #ARGV + 1
end

for i = first_key, #ARGV do
  act(i - FIRST, ARGV[i])
  if ended ~= '' then break end
  dealt = dealt + 1
end

local flat = {}
for part, keys in pairs(counted) do
  flat[#flat + 1] = part
  flat[#flat + 1] = keys
end
return {done, unchanged, gone, changed, refused, elsewhere, refusal, ended_by, ended, flat, left, dealt,
        microseconds() - begun}
