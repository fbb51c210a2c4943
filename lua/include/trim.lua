-- Applies a policy's retention: which memories go once an agent has more than it may.
-- @include layout_keys
-- @include memories
local trim = {}

-- How many of `count` memories the rule "oldest" drops at once: enough that not every store has to trim.
local function share(rule, count)
  return math.max(1, math.floor(rule.fraction * math.min(rule.sample, count)))
end

-- How many memories a store may add to `count` before it has to trim: the one that passes the threshold too.
function trim.room(policy, count)
  return math.max(1, policy.retention.threshold + 1 - count)
end

-- Drops what the policy does not keep of an agent's `count` memories; returns how many are left.
function trim.apply(policy, index, count)
  local rule = policy.retention
  while count > rule.threshold do
    local ids = layout.oldest(index, share(rule, count))
    memories.drop(index, ids)
    count = count - #ids
  end
  return count
end

return trim
