-- The reply of every recall.
-- @include errors
-- @include codec
local recall = {}

-- Which fields a caller wants: both, states or metadata; and from how many memories on states are to stay
-- encoded.
function recall.fields(text)
  local fields, how = tostring(text):match('^(%a+)( ?.*)$')
  local known = fields == 'both' or fields == 'states' or fields == 'metadata'
  local encoded_from = how == ' encoded' and 0 or tonumber(how and how:match('^ encoded (%d+)$') or nil)
  if not known or (how ~= '' and not encoded_from) then
    errors.refuse('BADARG', 'fields is ' .. tostring(text) .. ', not both, states or metadata')
  end
  return fields, encoded_from or math.huge
end

-- {ids, states FLOAT[B, input_dim] row after row, metadata as JSON texts or false} of what was found; of the
-- fields that are not wanted nothing is read or decoded, and they are empty. States that are to stay encoded
-- are as codec.encoded gives them.
function recall.reply(memory, codec_key, found, fields, encoded_from)
  local ids, states, metadata = found.ids, '', {}
  if #ids > 0 and fields ~= 'metadata' then
    local config = codec.of_agent(codec_key)
    states = #ids >= encoded_from and codec.encoded(config, ids, found.runs)
      or codec.decode(memory.index, config, ids, found.runs)
  end
  if #ids > 0 and fields ~= 'states' then
    metadata = memory:metadata(found.page)
  end
  return { ids, states, metadata }
end

return recall
