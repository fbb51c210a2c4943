-- The reply of every recall.
-- @include errors
-- @include codec
-- @include layout_keys
local recall = {}

-- Which fields a caller wants: both, states or metadata.
function recall.fields(text)
  if text ~= 'both' and text ~= 'states' and text ~= 'metadata' then
    errors.refuse('BADARG', 'fields is ' .. tostring(text) .. ', not both, states or metadata')
  end
  return text
end

-- {ids, states FLOAT[B, input_dim] row after row, metadata as JSON texts or false} of `ids`; of the fields
-- that are not wanted nothing is read or decoded, and they are empty.
function recall.reply(index, codec_key, ids, values, fields)
  local states, metadata = '', {}
  if #ids > 0 and fields ~= 'metadata' then
    states = codec.decode(index, codec.of_agent(codec_key), ids, values)
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
