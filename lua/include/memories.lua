-- Adds and drops memories with all that goes with them, so that nothing of one is left without the rest.
-- @include layout_keys
-- @include companions when used
-- @include priorities when used
-- @include stream when used
-- @include tokens
local memories = {}

-- Adds the memories first … last of a store's plan; their documents are there already (layout.describe).
function memories.add(plan, first, last)
  local index, ids, values, kept = plan.index, plan.ids, plan.values, plan.policy
  layout.put(index, ids, values, first, last, plan.expiry)
  if plan.companion then
    plan.companion.enter(index, ids, plan.numbers, first, last)
  end
  if kept.stream_entries then
    stream.add(index, kept.stream_entries, plan.config.name, ids, values, plan.metadata, first, last)
  end
  if kept.priorities then
    priorities.enter(index, ids, first, last)
  end
end

-- Drops memories: value, metadata, index entry, companions, priority and stream entry together; returns how
-- many the index had.
function memories.drop(index, ids)
  companions.drop(index, ids)
  priorities.drop(index, ids)
  stream.drop(index, ids)
  return layout.drop(index, ids)
end

-- Removes what is kept beside the memories of an agent that has none left.
function memories.forget(index)
  local others = { priorities.key(index), unpack(companions.keys(index)) }
  redis.call('UNLINK', stream.key(index), tokens.key(index), unpack(others))
end

return memories
