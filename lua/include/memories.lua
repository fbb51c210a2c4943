-- Adds and drops memories with all that goes with them, so that nothing of one is left without the rest.
-- @include layout_keys
-- @include companions when used
-- @include priorities when used
local memories = {}

-- Adds the memories first … last of new ids; their documents are there already (layout.describe). `numbers`
-- are for the policy's `companion`, where it has one; `expiry` is the time in milliseconds when they go, or
-- nil; `prioritised` says whether they get a priority.
function memories.add(index, ids, values, first, last, companion, numbers, expiry, prioritised)
  layout.put(index, ids, values, first, last, expiry)
  if companion then
    companion.enter(index, ids, numbers, first, last)
  end
  if prioritised then
    priorities.enter(index, ids, first, last)
  end
end

-- Drops memories: value, metadata, index entry, companions and priority together; returns how many the index
-- had.
function memories.drop(index, ids)
  companions.drop(index, ids)
  priorities.drop(index, ids)
  return layout.drop(index, ids)
end

-- Removes what is kept beside the memories of an agent that has none left.
function memories.forget(index)
  redis.call('UNLINK', unpack(companions.keys(index)))
  priorities.clear(index)
  redis.call('UNLINK', index:sub(1, -#'memories' - 1) .. 'tokens')
end

return memories
