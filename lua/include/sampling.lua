-- What the samples share: drawing from several agents by weight, and the reply.
--
-- A source is an agent that may be drawn from: {index, codec_key, count}. A lot is what is drawn first, an
-- agent's memories or some of them: {source, weight}. What is drawn from it is {source, ids, values}.
-- @include errors
-- @include arguments
-- @include codec
-- @include layout_keys
-- @include random
local sampling = {}

local MOST_AGENTS = 1024
local LOOKS = 8 -- draws for each that is wanted: many come to nothing only where many values are evicted
local LEAST_LOOKS = 1024 -- memories that are looked at in any case

-- The sources of KEYS: index and memory_system of each agent.
function sampling.sources(all_keys)
  local sources = {}
  arguments.integer(#all_keys, 'the number of keys', 2, 2 * MOST_AGENTS)
  arguments.integer(#all_keys / 2, 'the number of agents', 1, MOST_AGENTS)
  for i = 1, #all_keys, 2 do
    arguments.key_type(all_keys[i], 'zset')
    arguments.key_type(all_keys[i + 1], 'ReJSON-RL')
    local index = all_keys[i]
    sources[#sources + 1] = { index = index, codec_key = all_keys[i + 1], count = layout.count(index) }
  end
  return sources
end

-- Ends the script where there is nothing to draw; `what` says of what.
function sampling.refuse_empty(sources, what)
  local agents = layout.agent(sources[1].index)
  if #sources > 1 then
    agents = string.format('%s and %d others', agents, #sources - 1)
  end
  errors.refuse('NOTFOUND', string.format('%s of agent %s', what, agents))
end

-- A function that draws one of lots, each as probable as its weight is of their sum.
local function chooser(lots)
  local sums, total = {}, 0
  for i, lot in ipairs(lots) do
    total = total + lot.weight
    sums[i] = total
  end
  return function()
    local low, high = 1, #lots
    local at = high > 1 and random.number() * total
    while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] > at then
        high = middle
      else
        low = middle + 1
      end
    end
    return lots[low]
  end
end

-- Draws a lot for each of `open` positions: a list of {source, lots, positions}.
local function draw_lots(open, choose)
  local groups, group_of = {}, {}
  for _, position in ipairs(open) do
    local lot = choose()
    local group = group_of[lot.source]
    if not group then
      group = { source = lot.source, lots = {}, positions = {} }
      group_of[lot.source], groups[#groups + 1] = group, group
    end
    group.lots[#group.lots + 1], group.positions[#group.positions + 1] = lot, position
  end
  return groups
end

-- Draws `count` times with replacement. look(source, lots) draws once from each of these lots of one agent
-- and returns what it drew, false where that is to be drawn again; `size` is how many memories it looks at
-- for each. The number of draws is bounded: fewer than `count` come where most are drawn in vain.
function sampling.draw(count, size, lots, look)
  local choose, drawn, open = chooser(lots), {}, {}
  for position = 1, count do
    open[position] = position
  end
  local left = math.max(LOOKS * count, LEAST_LOOKS / size)
  while #open > 0 and left > 0 do
    left = left - #open
    local again = {}
    for _, group in ipairs(draw_lots(open, choose)) do
      local found = look(group.source, group.lots)
      for i, position in ipairs(group.positions) do
        drawn[position] = found[i]
        again[#again + 1] = not found[i] and position or nil
      end
    end
    open = again
  end
  local made = {}
  for position = 1, count do
    made[#made + 1] = drawn[position] or nil
  end
  return made
end

-- Appends memory after memory of `drawn` to lists by key_of(source): {source, ids, values, rows}, rows being
-- their positions among all.
local function sort_by(key_of, drawn)
  local groups, group_of, row = {}, {}, 0
  for _, one in ipairs(drawn) do
    local key = key_of(one.source)
    local group = group_of[key]
    if not group then
      group = { source = one.source, ids = {}, values = {}, rows = {} }
      group_of[key], groups[#groups + 1] = group, group
    end
    for i, id in ipairs(one.ids) do
      row = row + 1
      local n = #group.ids + 1
      group.ids[n], group.values[n], group.rows[n] = id, one.values[i], row
    end
  end
  return groups
end

-- The codec of each source that was drawn from; agents with the same text have the same table. States of
-- different length are refused.
local function codecs_of(drawn)
  local config_of_text, config_of, first = {}, {}, nil
  for _, one in ipairs(drawn) do
    local source = one.source
    if not config_of[source] then
      local text = redis.call('JSON.GET', source.codec_key)
      local config = text and config_of_text[text] or codec.of_agent(source.codec_key, text)
      config_of_text[text], config_of[source] = config, config
      first = first or source
      if config.input_dim ~= config_of[first].input_dim then
        local refusal = 'agents %s and %s cannot be in one sample: their states have %d and %d features'
        local agents = { layout.agent(first.index), layout.agent(source.index) }
        refusal = refusal:format(agents[1], agents[2], config_of[first].input_dim, config.input_dim)
        errors.refuse('BADARG', refusal)
      end
    end
  end
  return config_of
end

-- The states of all memories in `drawn`, row after row: each decoder runs once for all agents of one codec.
local function states_of(drawn)
  local config_of = codecs_of(drawn)
  local groups = sort_by(function(source) return config_of[source] end, drawn)
  local states = {}
  for _, group in ipairs(groups) do
    local config = config_of[group.source]
    local blob = codec.decode(group.source.index, config, group.ids, group.values)
    if #groups == 1 then
      return blob
    end
    local width = #blob / #group.rows
    for i, row in ipairs(group.rows) do
      states[row] = blob:sub((i - 1) * width + 1, i * width)
    end
  end
  return table.concat(states)
end

local function metadata_of(drawn)
  local texts = {}
  for _, group in ipairs(sort_by(function(source) return source end, drawn)) do
    local found = layout.metadata(group.source.index, group.ids)
    for i, row in ipairs(group.rows) do
      texts[row] = found[i]
    end
  end
  return texts
end

-- {agents, ids, states FLOAT row after row, metadata as JSON texts or false}: the number among `sources` of
-- each that was drawn, then memory after memory. Fields that are not wanted are empty.
function sampling.reply(sources, drawn, fields)
  local number_of, numbers, ids = {}, {}, {}
  for number, source in ipairs(sources) do
    number_of[source] = number
  end
  for i, one in ipairs(drawn) do
    numbers[i] = number_of[one.source]
    for _, id in ipairs(one.ids) do
      ids[#ids + 1] = id
    end
  end
  local states = fields ~= 'metadata' and states_of(drawn) or ''
  return { numbers, ids, states, fields ~= 'states' and metadata_of(drawn) or {} }
end

return sampling
