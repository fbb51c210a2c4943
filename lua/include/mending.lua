-- What verifying and repairing an agent share.
-- @include errors
-- @include codec
-- @include layout_keys
-- @include policy
-- @include companions when used
-- @include agents
local mending = {}

-- The ids of values that are corrupt, and of those that cannot be decoded, for which nothing tells why.
-- Without a memory_system that can be read that is all of them.
function mending.examine(index, codec_key, ids, values)
  local ok, config = pcall(codec.of_agent, codec_key)
  if not ok then
    return {}, ids
  end
  return codec.examine(index, config, ids, values)
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

-- The numbers that the companion must have for memories.
function mending.numbers(rule, companion, index, ids, values)
  return companion.numbers(rule, values, layout.metadata(index, ids), #ids)
end

return mending
