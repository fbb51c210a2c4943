-- What a store needs to know of an agent that its memories do not say: the hash agent:{ID}:state. Its field
-- `newest` is the highest timestamp that the agent ever had. It stays when that memory is dropped, and when
-- Redis evicts the index, so that the server never gives a timestamp twice.
-- @include arguments
local state = {}

function state.key(index)
  return index:sub(1, -#'memories' - 1) .. 'state'
end

-- The highest timestamp that the agent ever had, as far as the hash says it, or -1.
function state.newest(index)
  local key = state.key(index)
  local found = redis.pcall('HGET', key, 'newest')
  if type(found) == 'table' then
    arguments.key_type(key, 'hash')
    error(found.err, 0)
  end
  return tonumber(found and found:match('^%d+$') or -1)
end

-- Notes the highest timestamp.
function state.note(index, newest)
  redis.call('HSET', state.key(index), 'newest', string.format('%.0f', newest))
end

return state
