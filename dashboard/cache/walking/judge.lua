-- What scripts that change keys have in common: whether a key still meets the selection, and whom a refusal concerns.

-- kind: '' for any key, 'none' without TTL, 'left' for the time left, 'at' for the instant since 1970; ends included.
local function meets_ttl(kind, low, high, pttl, now)
  if pttl == -2 then return false end
  if kind == '' then return true end
  if kind == 'none' then return pttl == -1 end
  local at = kind == 'at' and pttl + now or pttl
  return pttl >= 0 and at >= low and at <= high
end

-- What forbids one key only, by the user's patterns or because its slot is elsewhere, forbids no other.
local function of_one_key(message)
  return string.find(message .. ' ', ' keys? ') ~= nil and not string.find(message, 'subcommand', 1, true)
end

-- Whether another server has this key by now, or this one has become a replica, or just now none has it.
local function not_here(message)
  for _, words in ipairs({'READONLY', 'non local key', 'cluster is down'}) do
    if string.find(message, words, 1, true) then return true end
  end
  return false
end

-- The server's clock in ms since 1970, or the caller's for a user who may not ask.
local function clock_or(callers)
  local time = redis.pcall('TIME')
  return time.err and callers or time[1] * 1000 + math.floor(time[2] / 1000)
end
