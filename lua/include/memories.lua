-- Adds and drops memories with all that goes with them, so that nothing of one is left without the rest.
-- @include layout_keys
-- @include stream
local memories = {}

-- Adds the memories first … last of new ids; their documents are there already (layout.describe). `streaming`
-- is nil, or says what stream.add needs besides: entries, codec_name, metadata.
function memories.add(index, ids, values, first, last, streaming)
  layout.put(index, ids, values, first, last)
  if streaming then
    stream.add(index, streaming.entries, streaming.codec_name, ids, values, streaming.metadata, first, last)
  end
end

-- Drops memories: value, metadata, index entry and stream entry together.
function memories.drop(index, ids)
  layout.drop(index, ids)
  stream.drop(index, ids)
end

return memories
