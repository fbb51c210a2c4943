-- Reads and checks the arguments and keys of a script.
-- @include errors
local arguments = {
  most_agents = 1024, -- a call
  largest_batch = 16384, -- memories a call: it holds up the server for about a tenth of a second at most
}

-- The table that a JSON text stands for.
function arguments.json(text, name)
  local ok, value = pcall(cjson.decode, text or '')
  if not ok or type(value) ~= 'table' then
    errors.refuse('BADARG', name .. ' is not a JSON array or object')
  end
  return value
end

-- An integer from low to high, of a text or a number.
function arguments.integer(value, name, low, high)
  local number = tonumber(value)
  if not number or number ~= math.floor(number) or number < low or number > high then
    local text = '%s is %s, not an integer from %.0f to %.0f'
    errors.refuse('BADARG', text:format(name, tostring(value), low, high))
  end
  return number
end

-- A number from low to high, of a text or a number.
function arguments.number(value, name, low, high)
  local number = tonumber(value)
  if not number or not (number >= low and number <= high) then
    local text = '%s is %s, not a number from %g to %g'
    errors.refuse('BADARG', text:format(name, tostring(value), low, high))
  end
  return number
end

-- Refuses a key that holds another type than the store would have put there.
function arguments.key_type(key, wanted)
  local found = redis.call('TYPE', key).ok
  if found ~= wanted and found ~= 'none' then
    errors.refuse('WRONGTYPE', string.format('key %s holds a value of type %s, not %s', key, found, wanted))
  end
end

-- The text of a RedisJSON document, or of what paths say of it, nil where there is none; a key of another
-- type is refused.
function arguments.document(key, ...)
  local text = redis.pcall('JSON.GET', key, ...)
  if type(text) == 'table' then
    arguments.key_type(key, 'ReJSON-RL')
    error(text.err, 0)
  end
  return text or nil
end

return arguments
