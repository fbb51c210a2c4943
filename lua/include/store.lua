-- Stores a batch of one agent in three steps: a plan checks the agent and writes nothing, its ids are given
-- or checked, then it is carried out. A script that stores for several agents takes each step for all of them
-- before the next one, so that what can be refused is refused before anything is written.
-- @include errors
-- @include timestamps
-- @include layout
-- @include codec
-- @include companions
-- @include priorities
-- @include state
-- @include stream
-- @include memories
-- @include trim
-- @include agents
-- @include tokens
local store = {}

-- The plan for an agent whose states `config` encodes, which gets the agent's generation.
function store.plan(index, agent_key, codec_key, config, groups_text, policy)
  local memory = layout.open_to_write(index, policy.layout)
  local count = memory:count()
  if policy.priorities then
    priorities.must_fit(index)
  end
  local companion = policy.has_companion and companions.must_fit(policy.retention, index)
  return {
    memory = memory,
    agent_key = agent_key,
    config = config,
    policy = policy,
    documents = policy.documents,
    count = count,
    companion = companion,
    updates = agents.updates(memory, agent_key, codec_key, config, groups_text, policy, count),
  }
end

-- Ids as texts are made when something wants them: a packed agent's memories do without.
local LAZY = {
  __index = function(plan, name)
    if name == 'ids' then
      plan.ids = timestamps.texts(plan.numbers)
      return plan.ids
    end
  end,
}

-- Gives a plan the timestamps of `batch` memories, as `numbers` or `ids`: `given` ids, which must be new, or
-- where that is nil the next ones.
function store.number(plan, batch, given)
  local memory = plan.memory
  setmetatable(plan, LAZY)
  plan.newest_last = not given
  local last = plan.policy.stream_entries and stream.last(memory.index)
  plan.highest = state.newest(memory.index)
  if given then
    memory:must_be_new(given)
    if last then
      stream.must_follow(memory.agent, last, given)
    end
    plan.ids = given
    for _, id in ipairs(given) do
      plan.highest = math.max(plan.highest, tonumber(id))
    end
  else
    local newest = tonumber(memory:last(memory:newest(0, 1)) or -1)
    plan.numbers = timestamps.following(math.max(plan.highest, newest, last or 0), batch)
    plan.highest = plan.numbers[batch]
  end
end

-- Writes the metadata documents of all plans, or of none where one is refused: this is the first write.
local function describe(plans)
  for i, plan in ipairs(plans) do
    local memory, metadata = plan.memory, plan.metadata
    local ok, refusal = true, nil
    if plan.newest_last then
      memory:undescribe(plan) -- documents that stayed where Redis has evicted their memories
    end
    if #metadata > 0 then
      ok, refusal = pcall(memory.describe, memory, plan)
    end
    if not ok then
      for j = 1, i - 1 do
        plans[j].memory:undescribe(plans[j])
      end
      error(refusal, 0)
    end
  end
end

-- What the policy wants to know of the new memories besides: their numbers and when they go.
local function prepare(plan)
  local kept, companion = plan.policy, plan.companion
  local function bytes_of() return #plan.coded.header + plan.coded.width end
  plan.companion_numbers = companion
    and companion.numbers(kept.retention, bytes_of, plan.metadata, plan.coded.count)
  plan.expiry = kept.ttl_ms and string.format('%.0f', timestamps.now() + kept.ttl_ms)
end

local function add_and_trim(plan)
  local batch = plan.coded.count
  local coming = not plan.newest_last and plan.companion_numbers or nil
  local task = trim.task(plan.policy, plan.memory, plan.agent_key, plan.count, batch + trim.spare, coming)
  local stored = 0
  while stored < batch do
    -- As many as fit and the one that is too many: a batch ends as single stores of it would.
    local some = math.min(batch - stored, trim.room(task))
    memories.add(plan, stored + 1, stored + some)
    trim.after_adding(task, some)
    stored = stored + some
  end
  agents.add_to_counters(plan.agent_key, stored, task.dropped)
end

-- Carries plans out that have ids, values and metadata, and notes the token of their store; returns the first
-- id of each, as a number.
function store.carry_out(plans, token)
  for _, plan in ipairs(plans) do
    local batch, described = plan.coded.count, #plan.metadata
    local numbered = #(plan.numbers or plan.ids)
    if numbered ~= batch or (described ~= 0 and described ~= batch) then
      local text = '%d states have %d timestamps and %d metadata'
      errors.refuse('BADARG', text:format(batch, numbered, described))
    end
    prepare(plan)
  end
  describe(plans)
  local firsts = {}
  for i, plan in ipairs(plans) do
    for _, update in ipairs(plan.updates) do
      redis.call(unpack(update))
    end
    add_and_trim(plan)
    state.note(plan.memory.index, plan.highest)
    firsts[i] = tonumber((plan.numbers or plan.ids)[1])
    tokens.keep(plan.memory.index, token, string.format('%.0f', firsts[i]))
  end
  return firsts
end

return store
