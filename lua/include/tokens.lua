-- The stores of an agent that were done last, by the tokens that clients gave them: a client whose answer was
-- lost sends the store again, and it is not done twice. The list agent:{ID}:tokens, newest first, has entries
-- "TOKEN TS NOW". Only a repetition reads it; it is cut to KEPT entries when it has twice as many.
-- @include errors
-- @include arguments
-- @include timestamps
local tokens = {}

local KEPT = 16

function tokens.key(index)
  return index:sub(1, -#'memories' - 1) .. 'tokens'
end

-- Reads a token argument; returns the token, and the first timestamp where it repeats a store that was done.
function tokens.find(index, argument)
  if argument ~= '' then
    arguments.key_type(tokens.key(index), 'list')
  end
  local token, age_ms = argument:match('^(%S+) (%d+)$')
  if not token then
    return argument
  end
  local entries = redis.call('LRANGE', tokens.key(index), 0, -1)
  local its_start = token .. ' '
  for _, entry in ipairs(entries) do
    if entry:sub(1, #its_start) == its_start then
      return token, tonumber(entry:match(' (%d+) '))
    end
  end
  -- Where the list was cut since the first was sent, this one may have been in it.
  if #entries >= KEPT and tonumber(entries[#entries]:match(' (%d+)$')) >= timestamps.now() - age_ms then
    local text = 'too many stores came between to tell whether this one was done %d ms ago'
    errors.refuse('UNSURE', text:format(age_ms))
  end
  return token
end

-- Notes that the store with this token was done; empty text is none.
function tokens.keep(index, token, first_id)
  if token == '' then
    return
  end
  local key = tokens.key(index)
  if redis.call('LPUSH', key, string.format('%s %s %.0f', token, first_id, timestamps.now())) >= 2 * KEPT then
    redis.call('LTRIM', key, 0, KEPT - 1)
  end
end

return tokens
