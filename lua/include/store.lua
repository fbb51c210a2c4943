-- Stores a batch of one agent in three steps: a plan checks the agent and writes nothing, its ids are given
-- or checked, then it is carried out. A script that stores for several agents takes each step for all of them
-- before the next one, so that what can be refused is refused before anything is written.
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout_keys
-- @include stream
-- @include memories
-- @include trim
-- @include agents
local store = {}

-- The plan for an agent whose states `config` encodes, which gets the agent's generation.
function store.plan(index, agent_key, codec_key, config, groups_text, policy)
  arguments.key_type(index, 'zset')
  arguments.key_type(agent_key, 'ReJSON-RL')
  arguments.key_type(codec_key, 'ReJSON-RL')
  local count = layout.count(index)
  return {
    index = index,
    agent_key = agent_key,
    config = config,
    policy = policy,
    count = count,
    updates = agents.updates(index, agent_key, codec_key, config, groups_text, policy, count),
  }
end

-- Gives a plan the ids of `batch` memories: `given`, which must be new, or where that is nil the next ones.
function store.number(plan, batch, given)
  local last = plan.policy.stream_entries and stream.last(plan.index)
  if given then
    layout.must_be_new(plan.index, given)
    if last then
      stream.must_follow(plan.index, last, given)
    end
    plan.ids = given
  else
    local newest = layout.newest(plan.index, 0, 1)[1] -- after the newest all are new
    if last and last > tonumber(newest or 0) then
      newest = string.format('%.0f', last)
    end
    plan.ids = timestamps.following(newest, batch)
  end
end

-- Writes the metadata documents of all plans, or of none where one is refused: this is the first write.
local function describe(plans)
  for i, plan in ipairs(plans) do
    local ok, refusal = pcall(layout.describe, plan.index, plan.ids, plan.metadata)
    if not ok then
      for j = 1, i - 1 do
        layout.undescribe(plans[j].index, plans[j].ids)
      end
      error(refusal, 0)
    end
  end
end

local function add_and_trim(plan)
  local policy, index, count, batch = plan.policy, plan.index, plan.count, #plan.ids
  local streaming = policy.stream_entries
    and { entries = policy.stream_entries, codec_name = plan.config.name, metadata = plan.metadata }
  local stored, trimmed = 0, 0
  while stored < batch do
    -- As many as fit and the one that is too many: a batch ends as single stores of it would.
    local some = math.min(batch - stored, trim.room(policy, count))
    memories.add(index, plan.ids, plan.values, stored + 1, stored + some, streaming)
    local left = trim.apply(policy, index, count + some)
    stored, trimmed, count = stored + some, trimmed + count + some - left, left
  end
  agents.add_to_counters(plan.agent_key, stored, trimmed)
end

-- Carries plans out that have ids, values and metadata; returns the first id of each, as a number.
function store.carry_out(plans)
  for _, plan in ipairs(plans) do
    local batch, described = #plan.values, #plan.metadata
    if #plan.ids ~= batch or (described ~= 0 and described ~= batch) then
      local text = '%d states have %d timestamps and %d metadata'
      errors.refuse('BADARG', text:format(batch, #plan.ids, described))
    end
  end
  describe(plans)
  local firsts = {}
  for i, plan in ipairs(plans) do
    for _, update in ipairs(plan.updates) do
      redis.call(unpack(update))
    end
    add_and_trim(plan)
    firsts[i] = tonumber(plan.ids[1])
  end
  return firsts
end

return store
