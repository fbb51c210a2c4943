#!lua
--[[ Stores batches of many agents as store_memories.lua stores one, all of them or none. Agents that have the
     same codec are encoded in one run. In a cluster all agents are of one slot.
     KEYS[1…] three for each agent: index zset, agent metadata, agent memory_system.
     ARGV[1] memory systems, a JSON array of [codec configuration, feature groups, form, policies]: the first
     three are texts as in store_memories.lua, policies is an array of [policy, how many agents have it].
     Agents have them in the order of KEYS.
     ARGV[2] batches, a JSON array with an entry for each agent: its timestamps, an array of integers, or how
     many states it has, for the server to give them.
     ARGV[3] states FLOAT, little endian, or codes, as the form says: row after row, agent after agent.
     ARGV[4] token, as in store_memories.lua.
     ARGV[5…] metadata: none at all, or one for each state, a JSON object or empty text.
     Returns the first timestamp of each agent. A repetition of a store that was done returns what that
     returned and stores nothing.
     Errors MEMERR BADARG BADSTATE BADRANGE BADSHAPE BADMETA BADORDER EXISTS NOCODEC NOMODELS OTHERCODEC
     WRONGTYPE BADCODEC UNSURE.
     Cost O(A + B log N) for A agents and B states, and one run of each encoder. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include codec
-- @include policy
-- @include tokens
-- @include store

-- Calls visit(configuration, feature groups, form, policy, agents) for each policy of each memory system.
local function each_system(systems, visit)
  for _, system in ipairs(systems) do
    local config = codec.configuration(system[1], 'codec configuration')
    for _, entry in ipairs(system[4]) do
      local kept = policy.parse(entry[1])
      visit(config, system[2], system[3], kept, arguments.integer(entry[2], 'the number of agents', 1, #KEYS))
    end
  end
end

-- The keys of each agent, three together; none comes twice.
local function read_keys()
  local all, seen = {}, {}
  for i = 1, #KEYS, 3 do
    if seen[KEYS[i]] then
      errors.refuse('BADARG', KEYS[i] .. ' is given twice')
    end
    seen[KEYS[i]] = true
    all[#all + 1] = { KEYS[i], KEYS[i + 1], KEYS[i + 2] }
  end
  return all
end

-- Reads the token; returns it, and the first timestamps where this repeats a store that was done.
local function find_token(all, argument)
  local token, firsts = argument, {}
  for i, own in ipairs(all) do
    token, firsts[#firsts + 1] = tokens.find(own[1], argument)
    if #firsts > 0 and #firsts < i then
      errors.refuse('UNSURE', 'this store was done, but not every agent tells any more what it returned')
    end
  end
  return token, #firsts > 0 and firsts
end

-- The plans of all agents, in the order of KEYS.
local function make_plans(all, systems)
  local plans = {}
  each_system(systems, function(config, groups_text, form, kept, agents_of_both)
    for _ = 1, agents_of_both do
      local own = all[#plans + 1]
      if not own or #own ~= 3 then
        errors.refuse('BADARG', string.format('%d keys are not three for each agent', #KEYS))
      end
      local plan = store.plan(own[1], own[2], own[3], codec.of_one(config), groups_text, kept)
      plan.form = form
      plans[#plans + 1] = plan
    end
  end)
  if #plans == 0 or #plans ~= #all then
    errors.refuse('BADARG', string.format('%d keys are not three for each of %d agents', #KEYS, #plans))
  end
  return plans
end

-- Reads batches; returns how many states each agent has, and its ids where they are given.
local function read_batches(text, agents)
  local counts, given = arguments.json(text, 'batches'), {}
  for i = 1, agents do
    if type(counts[i]) == 'table' then
      given[i] = timestamps.ids(counts[i], 'timestamps')
      counts[i] = #given[i]
    end
    arguments.integer(counts[i], 'the number of states', 1, arguments.largest_batch)
  end
  return counts, given
end

-- Encodes, where that is not done, the states of plans first … last, which are of one codec and begin at
-- `offset`; returns where those of the next begin.
local function encode(plans, counts, first, last, offset)
  local config, form, rows = plans[first].config, plans[first].form, 0
  for i = first, last do
    rows = rows + counts[i]
  end
  local after = offset + rows * codec.row_bytes(config, form)
  local blob = ARGV[3]:sub(offset + 1, after)
  if codec.rows(config, form, blob) ~= rows then
    errors.refuse('BADARG', 'there are fewer states than the batches say')
  end
  local codes, at = codec.codes(plans[first].memory.index, config, form, blob, rows), 0
  for i = first, last do
    local bytes = counts[i] * config.codes * config.code_bytes
    plans[i].coded = codec.coded(plans[i].config, codes:sub(at + 1, at + bytes))
    at = at + bytes
  end
  return after
end

-- Gives each plan its part of the metadata.
local function share_metadata(plans, counts)
  local metadata = {}
  for i = 5, #ARGV do
    metadata[i - 4] = ARGV[i]
  end
  local before = 0
  for i, plan in ipairs(plans) do
    plan.metadata = {}
    for row = 1, counts[i] do
      plan.metadata[row] = metadata[before + row]
    end
    before = before + counts[i]
  end
  if #metadata ~= 0 and #metadata ~= before then
    errors.refuse('BADARG', string.format('%d states have %d metadata', before, #metadata))
  end
end

return errors.guard(function()
  local all = read_keys()
  local token, done = find_token(all, ARGV[4])
  if done then
    return done
  end
  local plans = make_plans(all, arguments.json(ARGV[1], 'memory systems'))
  local counts, given = read_batches(ARGV[2], #plans)
  local first, offset = 1, 0
  for i = 1, #plans do
    store.number(plans[i], counts[i], given[i])
    if i == #plans or plans[i + 1].config.text ~= plans[i].config.text then
      offset = encode(plans, counts, first, i, offset)
      first = i + 1
    end
  end
  if offset ~= #ARGV[3] then
    errors.refuse('BADARG', 'there are more states than the batches say')
  end
  share_metadata(plans, counts)
  return store.carry_out(plans, token)
end)
