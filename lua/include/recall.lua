-- The reply of every recall.
-- @include errors
-- @include codec
-- @include layout_keys
local recall = {}

-- {ids, states FLOAT[B, input_dim] row after row, metadata as JSON texts or false} of `ids`.
function recall.reply(index, codec_key, ids, values)
  if #ids == 0 then
    return { {}, '', {} }
  end
  local text = redis.call('JSON.GET', codec_key)
  if not text then
    errors.refuse('NOCODEC', 'there is no ' .. codec_key .. ' to say which codec made the memories')
  end
  local config = codec.configuration(text, codec_key)
  return { ids, codec.decode(index, config, ids, values), layout.metadata(index, ids) }
end

return recall
