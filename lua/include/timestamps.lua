-- The ids of memories: integers in milliseconds, kept as decimal text so that none is ever printed as 1e+15.
-- @include errors
-- @include arguments
local timestamps = {
  largest = 2 ^ 53 - 1, -- that a sorted set's score and a Lua number hold exactly
}

local function to_id(timestamp)
  return string.format('%.0f', timestamp)
end

-- Timestamps, numbers, as ids.
function timestamps.texts(numbers)
  local texts = {}
  for i = 1, #numbers do
    local number = tonumber(numbers[i])
    -- Lua prints 14 digits itself, in half the time.
    texts[i] = number < 1e14 and number .. '' or to_id(number)
  end
  return texts
end

-- The id that a caller gave as text or number.
function timestamps.id(value, name)
  return to_id(arguments.integer(value, name, 0, timestamps.largest))
end

-- The ids that a caller gave as an array, which becomes theirs.
function timestamps.ids(values, name)
  for i = 1, #values do
    values[i] = timestamps.id(values[i], name)
  end
  return values
end

-- The ids that a caller gave as a JSON array.
function timestamps.parse(text, name)
  return timestamps.ids(arguments.json(text, name), name)
end

-- The server's time in milliseconds.
function timestamps.now()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

-- `count` timestamps in a row, numbers, for new memories: from this millisecond on, but after `newest`.
function timestamps.following(newest, count)
  local first = math.max(timestamps.now(), newest + 1)
  if first > timestamps.largest - count + 1 then
    errors.refuse('BADARG', 'no timestamps are left after ' .. to_id(newest))
  end
  local numbers = {}
  for i = 1, count do
    numbers[i] = first + i - 1
  end
  return numbers
end

return timestamps
