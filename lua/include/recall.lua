-- The reply of every recall.
-- @include codec
-- @include layout_keys
local recall = {}

-- {ids, states FLOAT[B, input_dim] row after row, metadata as JSON texts or false} of `ids`.
function recall.reply(index, codec_key, ids, values)
  if #ids == 0 then
    return { {}, '', {} }
  end
  local config = codec.of_agent(codec_key)
  return { ids, codec.decode(index, config, ids, values), layout.metadata(index, ids) }
end

return recall
