-- Applies a policy: which memories go once an agent has more than it may, or once they have expired.
--
-- A store or trim_agent.lua makes one task, which bounds what it drops and what it looks at; what is left is
-- for the next one. A batch ends as the same stores one by one, as long as no bound is reached: each rule
-- says how many memories may be added before it has to be applied.
-- @include memories
-- @include retentions
local trim = {
  spare = 1000, -- memories that a store may drop beyond as many as it adds
}

local function drop(task, ids)
  if #ids > 0 then
    task.limit = task.limit - #ids
    task.dropped = task.dropped + #ids
    task.count = task.count - memories.drop(task.memory, ids)
  end
end

local function drop_oldest(task, number)
  drop(task, task.memory:ids(task.memory:oldest(number)))
end

-- Drops the oldest fifth of the hundred oldest, or what a rule says instead, until no more are there than may
-- be: enough that not every store has to trim.
local function drop_shares(task)
  local rule = task.rule
  while task.count > rule.threshold and task.limit > 0 do
    local share = math.max(1, math.floor(rule.fraction * math.min(rule.sample, task.count)))
    task:drop_oldest(math.min(share, task.limit))
  end
end

-- A task for an agent of `count` memories, that drops up to `limit` and enters as many in companions.
-- `coming` are the numbers by companions.numbers of memories that will be added, where those may be older
-- than others; otherwise nil.
function trim.task(policy, memory, agent_key, count, limit, coming)
  local rule = policy.retention
  return {
    policy = policy, rule = rule, memory = memory, agent_key = agent_key, coming = coming,
    count = count, limit = limit, to_enter = limit, added = 0, dropped = 0,
    drop = drop, drop_oldest = drop_oldest,
    other = rule.policy ~= 'oldest' and retentions.of(rule), -- than "oldest", which is here
  }
end

-- How many memories may be added before trim.after_adding: with "oldest" the one too many as well.
function trim.room(task)
  local other = task.other
  if not other then
    return math.max(1, task.rule.threshold + 1 - task.count)
  end
  return other.room and math.max(1, other.room(task)) or math.huge
end

-- Notes that `count` memories were added and drops what the policy does not keep.
function trim.after_adding(task, count)
  task.count = task.count + count
  task.added = task.added + count
  if task.policy.ttl_ms and task.limit > 0 then
    retentions.drop_expired(task, count + 1)
  end
  if task.other then
    task.other.apply(task)
  else
    drop_shares(task)
  end
end

-- Drops what the policy does not keep; returns how many memories still have to go, or be looked at to know.
function trim.now(task)
  local other = task.other
  if task.policy.ttl_ms then
    retentions.drop_expired(task, 100)
  end
  if not other then
    drop_shares(task)
    return math.max(0, task.count - task.rule.threshold)
  end
  local apply = other.apply_now or other.apply
  apply(task)
  return math.max(0, other.left(task))
end

return trim
