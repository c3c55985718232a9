-- One page of one collection, with every element cut on the server, so that a giant never travels.
-- KEYS[1]  the key
-- ARGV     type, cursor, skip, rows wanted, pattern ('' for none), bytes for the whole answer,
--          bytes shown of one element, size up to which a hash value is read at all,
--          '1' where HSCAN knows NOVALUES, '1' where fields have TTLs
-- Answer   {the key's type}, when that is another than wanted, else
--          {type, elements in all, next cursor or '', skip, rows}; in a row each element is size, bytes.

local key, wanted, cursor = KEYS[1], ARGV[1], ARGV[2]
local skip, count, pattern = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local room, shown_most, read_most = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local knows_novalues, knows_ttls = ARGV[9] == '1', ARGV[10] == '1'

local SHOWN_LEAST = 64            -- of each element, when the room is used up in the middle of a batch
local COPIED_MOST = 64 * 1048576  -- what Lua may copy for one page before it stops (plus one batch)
local CALLS_MOST = 160            -- of SSCAN and the like: a pattern that matches nothing sees 40,000 elements
local ROWS_MOST = 1000            -- a compact encoding gives all its elements in one batch
local FIELDS_MOST = 100           -- shown of one stream entry

local copied = 0
local rows = {}

local function put(row, value)
  local size = #value
  local shown = math.min(size, shown_most, math.max(room, SHOWN_LEAST))
  copied = copied + size
  room = room - shown
  row[#row + 1] = size
  row[#row + 1] = string.sub(value, 1, shown)
  return row
end

local function enough()
  return #rows >= count or room <= 0 or copied >= COPIED_MOST
end

-- Calls fetch(n) for small batches first and larger ones while the elements turn out small.
local function in_batches(fetch)
  local batch = 1
  while not enough() do
    local before = copied
    if not fetch(math.min(batch, count - #rows)) then return false end
    batch = copied - before < 65536 and math.min(batch * 2, 64) or 1
  end
  return true
end

local function by_position(command, width, ...)
  local options = {...}
  local position = tonumber(cursor) or 0
  local more = in_batches(function(n)
    local items = redis.call(command, key, string.format('%.0f', position),
                             string.format('%.0f', position + n - 1), unpack(options))
    for i = 1, #items, width do
      local row = put({}, items[i])
      if width == 2 then row[3] = items[i + 1] end
      rows[#rows + 1] = row
    end
    position = position + #items / width
    return #items == n * width
  end)
  return more and string.format('%.0f', position) or ''
end

-- Collects whole batches of a *SCAN command, each element once.
local function by_scan(command, width, options, add)
  local seen, calls = {}, 0
  local at = cursor == '' and '0' or cursor
  repeat
    local reply = redis.call(command, key, at, unpack(options))
    local items = reply[2]
    for i = 1 + skip * width, #items, width do
      if #rows >= ROWS_MOST then return at, (i - 1) / width end
      if not seen[items[i]] then
        seen[items[i]] = true
        add(items[i], items[i + 1])
      end
    end
    skip, at, calls = 0, reply[1], calls + 1
  until at == '0' or calls >= CALLS_MOST or enough()
  return at == '0' and '' or at, 0
end

local function scan_options()
  if pattern ~= '' then return {'MATCH', pattern, 'COUNT', '250'} end
  return {'COUNT', string.format('%d', math.max(10, count / 10))}
end

local function compact()
  local encoding = redis.pcall('OBJECT', 'ENCODING', key)
  return type(encoding) == 'string' and (encoding == 'ziplist' or string.sub(encoding, 1, 8) == 'listpack')
end

local function add_expiries(names)
  if not knows_ttls or #names == 0 then return end
  local expiries = redis.call('HPEXPIRETIME', key, 'FIELDS', #names, unpack(names))
  for i, at in ipairs(expiries) do rows[i][5] = at end
end

local readers = {}

function readers.list() return by_position('LRANGE', 1), 0 end

function readers.zset()
  if pattern == '' then return by_position('ZRANGE', 2, 'WITHSCORES'), 0 end
  return by_scan('ZSCAN', 2, scan_options(), function(member, score)
    local row = put({}, member)
    row[3] = score
    rows[#rows + 1] = row
  end)
end

function readers.set()
  return by_scan('SSCAN', 1, scan_options(), function(member) rows[#rows + 1] = put({}, member) end)
end

function readers.hash()
  local options, names, width = scan_options(), {}, 2
  if knows_novalues and not compact() then
    options[#options + 1] = 'NOVALUES'
    width = 1
  end
  local following, rest = by_scan('HSCAN', width, options, function(name, value)
    local size = 0
    if width == 1 then
      size = redis.call('HSTRLEN', key, name)
      value = size <= read_most and redis.call('HGET', key, name)
    end
    local row = put({}, name)
    if value then
      put(row, value)
    else
      row[3], row[4] = size, ''
    end
    names[#names + 1] = name
    rows[#rows + 1] = row
  end)
  add_expiries(names)
  return following, rest
end

function readers.stream()
  local from = cursor == '' and '+' or cursor
  local more = in_batches(function(n)
    -- One for the entry that the last batch ended with, and one to know whether anything follows.
    local entries = redis.call('XREVRANGE', key, from, '-', 'COUNT', n + 2)
    local added, last = 0, from
    for _, entry in ipairs(entries) do
      if entry[1] ~= from and added < n then
        local row = {entry[1], #entry[2] / 2}
        for i = 1, math.min(#entry[2], 2 * FIELDS_MOST) do put(row, entry[2][i]) end
        rows[#rows + 1] = row
        added, last = added + 1, entry[1]
      end
    end
    from = last
    return #entries == n + 2 or entries[#entries] and entries[#entries][1] ~= last
  end)
  return more and from or '', 0
end

local kind = redis.call('TYPE', key)['ok']
if kind ~= wanted then return {kind} end
local lengths = {hash = 'HLEN', list = 'LLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN'}
local total = redis.call(lengths[kind], key)
local following, rest = readers[kind]()
return {kind, total, following, rest, rows}
