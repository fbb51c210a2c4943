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

-- Those of ids, which have no value, of which something is left: others drop memories while one looks, and
-- then nothing is.
function mending.remnants(memory, ids)
  local agent, left = memory.index:sub(1, -#'memories' - 1), {}
  for _, id in ipairs(ids) do
    local padded = string.rep('0', 16 - #id) .. id
    local entry = id .. '-0'
    local looks = {
      { 'EXISTS', agent .. 'memory:' .. id .. ':meta' },
      { 'ZSCORE', agent .. 'importance', padded },
      { 'HEXISTS', agent .. 'sizes', id },
      { 'ZSCORE', agent .. 'priorities', id },
      { 'XRANGE', agent .. 'stream', entry, entry },
    }
    for _, look in ipairs(looks) do
      local found = redis.pcall(unpack(look)) -- a key of another type has nothing of ours
      local is_there = type(found) == 'table' and #found > 0 or type(found) == 'string' or found == 1
      if is_there then
        left[#left + 1] = id
        break
      end
    end
  end
  return left
end

return mending
