-- Gives keys back as the vault has them; one that exists is not overwritten.
-- ARGV  1 '1' where TTLs were lowered and keys may be there still, 2 the caller's clock in ms since 1970,
--       3.. key, when it expires in ms since 1970 (-1: never), DUMP
-- Answer  {made anew, given their old TTL, {places of keys that are newer}, would have expired by now, as they were,
--          {place, why it was refused, ...}, {places of keys that are served elsewhere}, what ended it early: command,
--          message ('', '' if nothing did), keys dealt with, microseconds that it took}

local lowered = ARGV[1] == '1'
local now = clock_or(tonumber(ARGV[2]))
local SAME = 1000 -- ms by which two moments of expiry may differ and be the same: reading a TTL and the clock takes a while

local restored, retimed, expired, same, handled = 0, 0, 0, 0, 0
local newer, refused, elsewhere = {}, {}, {}
local ended_by, ended = '', ''

-- Neither memory, nor a disk, nor a right comes back with the next key.
local function of_all_keys(message)
  for _, words in ipairs({'OOM', 'MISCONF', 'NOREPLICAS', "can't run this command", 'no permissions to run'}) do
    if string.find(message, words, 1, true) then return true end
  end
  return false
end

local function refuse(place, command, message)
  if not_here(message) then
    elsewhere[#elsewhere + 1] = place
  elseif of_all_keys(message) then
    ended_by, ended = command, message
  else
    refused[#refused + 1] = place
    refused[#refused + 1] = message
  end
end

local function give_time(place, key, expires)
  local command = expires == -1 and 'PERSIST' or 'PEXPIREAT'
  local reply
  if expires == -1 then
    reply = redis.pcall(command, key)
  else
    reply = redis.pcall(command, key, string.format('%.0f', expires))
  end
  if type(reply) == 'table' then return refuse(place, command, reply.err) end
  retimed = retimed + 1
end

-- It is there: what was lowered and not changed since gets its time back; anything else stays as it is.
local function meet(place, key, expires, dump)
  local holds = redis.pcall('DUMP', key)
  if type(holds) == 'table' then return refuse(place, 'DUMP', holds.err) end
  local pttl = redis.pcall('PTTL', key)
  if not holds or string.sub(holds, -8) ~= string.sub(dump, -8) or type(pttl) == 'table' then
    newer[#newer + 1] = place
    return
  end
  local expires_now = pttl == -1 and -1 or pttl + now
  if expires_now == expires or (expires ~= -1 and expires_now ~= -1 and math.abs(expires_now - expires) <= SAME) then
    same = same + 1
  elseif lowered and expires_now ~= -1 and (expires == -1 or expires_now < expires) then
    give_time(place, key, expires)
  else
    newer[#newer + 1] = place
  end
end

local function give(place, key, expires, dump)
  if expires ~= -1 and expires <= now then
    expired = expired + 1
    return
  end
  local reply = redis.pcall('RESTORE', key, string.format('%.0f', math.max(expires, 0)), dump, 'ABSTTL')
  if not reply.err then
    restored = restored + 1
  elseif string.find(reply.err, 'BUSYKEY', 1, true) then
    meet(place, key, expires, dump)
  else
    refuse(place, 'RESTORE', reply.err)
  end
end

for i = 3, #ARGV, 3 do
  give((i - 3) / 3, ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2])
  if ended ~= '' then break end
  handled = handled + 1
end

return {restored, retimed, newer, expired, same, refused, elsewhere, ended_by, ended, handled, microseconds() - begun}
