-- Adds and drops memories with all that goes with them, so that nothing of one is left without the rest.
-- @include layout_keys
local memories = {}

-- Adds the memories first … last of new ids; their documents are there already (layout.describe).
function memories.add(index, ids, values, first, last)
  layout.put(index, ids, values, first, last)
end

-- Drops memories: value, metadata and index entry together.
function memories.drop(index, ids)
  layout.drop(index, ids)
end

return memories
