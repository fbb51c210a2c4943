-- What verifying and repairing an agent share.
-- @include errors
-- @include codec
-- @include policy
-- @include companions
-- @include agents
local mending = {}

-- The ids of those found that are corrupt, and of those that cannot be decoded, for which nothing tells why.
-- Without a memory_system that can be read that is all of them.
function mending.examine(memory, codec_key, found)
  local ok, config = pcall(codec.of_agent, codec_key)
  if not ok then
    return {}, found.ids
  end
  return codec.examine(memory.index, config, found.ids, found.runs)
end

-- The rule of the agent's retention and its companion, nil where there is none. A companion's key that holds
-- another type is refused.
function mending.companion(index, agent_key)
  local text = agents.policy(agent_key)
  local ok, kept = pcall(policy.parse, text or '')
  if ok and kept.has_companion then
    return kept.retention, companions.must_fit(kept.retention, index)
  end
end

-- The numbers that the companion must have for the memories of a page.
function mending.numbers(rule, companion, memory, page)
  local values = memory:values(page)
  local function bytes_of(i) return #(values[i] or '') end
  return companion.numbers(rule, bytes_of, memory:metadata(page), memory:size(page))
end

return mending
