-- How long a script takes: by the processor's clock where there is one (Redis 8, Valkey 8), else by the time of day,
-- which stands still during a script only on servers that have the other.
local os = rawget(_G, 'os')
local function microseconds()
  if os and os.clock then return os.clock() * 1000000 end
  local time = redis.pcall('TIME')
  return time.err and 0 or time[1] * 1000000 + time[2]
end
local begun = microseconds()
