-- The reply of every recall.
-- @include errors
-- @include codec
-- @include layout_keys
local recall = {}

-- Which fields a caller wants: both, states or metadata; and whether states are to stay encoded.
function recall.fields(text)
  local fields, how = tostring(text):match('^(%a+)( ?.*)$')
  local known = fields == 'both' or fields == 'states' or fields == 'metadata'
  if not known or (how ~= '' and how ~= ' encoded') then
    errors.refuse('BADARG', 'fields is ' .. tostring(text) .. ', not both, states or metadata')
  end
  return fields, how == ' encoded'
end

-- {ids, states FLOAT[B, input_dim] row after row, metadata as JSON texts or false} of `ids`; of the fields
-- that are not wanted nothing is read or decoded, and they are empty. States that are to stay encoded are
-- as codec.encoded gives them.
function recall.reply(index, codec_key, ids, values, fields, encoded)
  local states, metadata = '', {}
  if #ids > 0 and fields ~= 'metadata' then
    local config = codec.of_agent(codec_key)
    states = encoded and codec.encoded(config, ids, values) or codec.decode(index, config, ids, values)
  end
  if #ids > 0 and fields ~= 'states' then
    metadata = layout.metadata(index, ids)
  end
  return { ids, states, metadata }
end

-- Adds those of `page` that have a value to ids and values, the others to `gone`.
function recall.gather(index, page, ids, values, gone)
  for i, value in ipairs(layout.get(index, page)) do
    if value then
      ids[#ids + 1], values[#values + 1] = page[i], value
    else
      gone[#gone + 1] = page[i]
    end
  end
end

return recall
