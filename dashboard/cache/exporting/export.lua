-- Reads keys for an export: what each holds, by the command of its type or, where that is too much, by DUMP.
-- ARGV  1 bytes after which it stops, 2 bytes and 3 elements up to which a value is read, 4 bytes of the largest key
--       that is dumped, '1' in 5 where every key is dumped, 6.. keys
-- Answer  {how many keys were dealt with, {type, TTL in ms, how, what, ...}, microseconds that it took}
-- how, what: 0 gone, ''; 1 the value as its command gives it; 2 DUMP; 3 too large, ''; 4 refused, the server's words

local most, value_most, members_most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local dump_most, only_dump = tonumber(ARGV[4]), ARGV[5] == '1'
local lengths = {string = 'STRLEN', list = 'LLEN', hash = 'HLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN'}
local reads = {
  string = {'GET'}, list = {'LRANGE', '0', '-1'}, hash = {'HGETALL'}, set = {'SMEMBERS'},
  zset = {'ZRANGE', '0', '-1', 'WITHSCORES'}, stream = {'XRANGE', '-', '+'},
}
local found, bytes, handled = {}, 0, 0

local function put(kind, pttl, how, what)
  local at = #found
  found[at + 1], found[at + 2], found[at + 3], found[at + 4] = kind, pttl, how, what
end

-- Bytes of a key that can be read whole; nothing where it is too much, or an error.
local function small(kind, key)
  if only_dump or not lengths[kind] then return nil end
  local size = redis.pcall(lengths[kind], key)
  if type(size) == 'table' then return size end
  if kind ~= 'string' then
    if size > members_most then return nil end
    size = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', '0') or 0
    if type(size) == 'table' then return size end
  end
  return size <= value_most and size or nil
end

local function dump(kind, pttl, key)
  local memory = redis.pcall('MEMORY', 'USAGE', key) or 0
  if type(memory) == 'table' then return put(kind, pttl, 4, memory.err) end
  if memory > dump_most then return put(kind, pttl, 3, '') end
  local reply = redis.pcall('DUMP', key)
  if type(reply) == 'table' then return put(kind, pttl, 4, reply.err) end
  bytes = bytes + #reply
  put(kind, pttl, 2, reply)
end

local function read(key)
  local reply = redis.pcall('TYPE', key)
  if reply.err then return put('', -1, 4, reply.err) end
  local kind, pttl = reply.ok, redis.pcall('PTTL', key)
  if type(pttl) == 'table' then return put(kind, -1, 4, pttl.err) end
  if pttl == -2 then return put('', -2, 0, '') end
  local size = small(kind, key)
  if type(size) == 'table' then return put(kind, pttl, 4, size.err) end
  if not size then return dump(kind, pttl, key) end
  local how = reads[kind]
  local value = redis.pcall(how[1], key, unpack(how, 2))
  if type(value) == 'table' and value.err then return put(kind, pttl, 4, value.err) end
  bytes = bytes + size
  put(kind, pttl, 1, value)
end

for i = 6, #ARGV do
  if bytes >= most then break end
  read(ARGV[i])
  handled = handled + 1
end

return {handled, found, microseconds() - begun}
