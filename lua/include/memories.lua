-- Adds and drops memories with all that goes with them, so that nothing of one is left without the rest.
-- @include layout
-- @include companions
-- @include priorities
-- @include state
-- @include stream
-- @include tokens
local memories = {}

-- Adds the memories first … last of a store's plan, which are described already (memory:describe).
function memories.add(plan, first, last)
  local index, kept = plan.memory.index, plan.policy
  plan.memory:put(plan, first, last)
  if plan.companion then
    plan.companion.enter(index, plan.ids, plan.companion_numbers, first, last)
  end
  if kept.stream_entries then
    local entries, codec_name = kept.stream_entries, plan.config.name
    stream.add(index, entries, codec_name, plan.ids, plan.coded, plan.metadata, first, last)
  end
  if kept.priorities then
    priorities.enter(index, plan.ids, first, last)
  end
end

-- Drops what is kept beside memories: companions, priority and stream entry.
function memories.drop_beside(memory, ids)
  companions.drop(memory.index, ids)
  priorities.drop(memory.index, ids)
  stream.drop(memory.index, ids)
end

-- Drops memories: value, metadata, index entry and what is beside them; returns how many the index had.
function memories.drop(memory, ids)
  memories.drop_beside(memory, ids)
  return memory:drop(ids)
end

-- Removes what is kept beside the memories of an agent that has none left.
function memories.forget(memory)
  local index = memory.index
  local others = { priorities.key(index), unpack(companions.keys(index)) }
  redis.call('UNLINK', stream.key(index), tokens.key(index), state.key(index), unpack(others))
end

return memories
