-- What the samples share: drawing from several agents by weight, and the reply.
--
-- A source is an agent that may be drawn from: {number, index, codec_key, count}. A lot is what is drawn
-- first, an agent's memories or some of them: {source, weight}. What is drawn are columns: `sources`, one a
-- draw, and `ids` and `values`, `size` of each a draw, which follow each other.
-- @include errors
-- @include arguments
-- @include codec
-- @include layout_keys
-- @include random
local sampling = {}

local LOOKS = 8 -- draws for each that is wanted: many come to nothing only where many values are evicted
local LEAST_LOOKS = 1024 -- memories that are looked at in any case

-- Adds the agent of these keys.
function sampling.add_source(sources, index, codec_key)
  arguments.key_type(index, 'zset')
  local number = #sources + 1
  sources[number] = { number = number, index = index, codec_key = codec_key, count = layout.count(index) }
end

-- Ends the script where there is nothing to draw; `what` says of what.
function sampling.refuse_empty(sources, what)
  local others = #sources > 1 and string.format(', nor of %d more', #sources - 1) or ''
  errors.refuse('NOTFOUND', string.format('%s of agent %s%s', what, layout.agent(sources[1].index), others))
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

-- Puts the draws that have all their values into the columns; adds the positions of the others to `again`.
local function take(drawn, group, size, again)
  local ids, values, numbers = group.ids, group.values, group.numbers
  for i, position in ipairs(group.positions) do
    local from, to, whole = (i - 1) * size, (position - 1) * size, true
    for n = 1, size do
      whole = whole and values[from + n]
    end
    if whole then
      for n = 1, size do
        drawn.ids[to + n], drawn.values[to + n] = ids[from + n], values[from + n]
      end
      drawn.sources[position], drawn.numbers[position] = group.source, numbers and numbers[i]
    else
      again[#again + 1] = position
    end
  end
end

-- The columns without the positions that nothing was drawn for.
local function without_gaps(drawn, count, size)
  local made = { size = size, sources = {}, ids = {}, values = {}, numbers = {} }
  for position = 1, count do
    if drawn.sources[position] then
      local n = #made.sources + 1
      made.sources[n], made.numbers[n] = drawn.sources[position], drawn.numbers[position]
      for row = (position - 1) * size + 1, position * size do
        made.ids[#made.ids + 1], made.values[#made.values + 1] = drawn.ids[row], drawn.values[row]
      end
    end
  end
  return made
end

-- Draws `count` times `size` memories with replacement. look(source, lots) draws once from each of these lots
-- of one agent and returns ids and values, and where those are wanted numbers, one a draw: those of draws
-- without a false value become the column `numbers`; the others are drawn again. The number of draws is
-- bounded, so fewer than `count` come where nearly all are in vain.
function sampling.draw(count, size, lots, look)
  local choose, open = chooser(lots), {}
  local drawn = { size = size, sources = {}, ids = {}, values = {}, numbers = {} }
  for position = 1, count do
    open[position] = position
  end
  local left = math.max(LOOKS * count, LEAST_LOOKS / size)
  while #open > 0 and left > 0 do
    left = left - #open
    local again = {}
    for _, group in ipairs(draw_lots(open, choose)) do
      group.ids, group.values, group.numbers = look(group.source, group.lots)
      take(drawn, group, size, again)
    end
    open = again
  end
  return #open == 0 and drawn or without_gaps(drawn, count, size)
end

-- The rows of the columns by what key_of(source) is: a list of {source, ids, values, rows}.
local function sort_by(key_of, drawn)
  local groups, group_of = {}, {}
  for position, source in ipairs(drawn.sources) do
    local key = key_of(source)
    local group = group_of[key]
    if not group then
      group = { source = source, ids = {}, values = {}, rows = {} }
      group_of[key], groups[#groups + 1] = group, group
    end
    for row = (position - 1) * drawn.size + 1, position * drawn.size do
      local n = #group.rows + 1
      group.ids[n], group.values[n], group.rows[n] = drawn.ids[row], drawn.values[row], row
    end
  end
  return groups
end

-- The codec of each source that was drawn from; agents with the same text have the same table. States of
-- different length are refused.
local function codecs_of(drawn)
  local config_of_text, config_of, first = {}, {}, drawn.sources[1]
  for _, source in ipairs(drawn.sources) do
    if not config_of[source] then
      arguments.key_type(source.codec_key, 'ReJSON-RL')
      local text = redis.call('JSON.GET', source.codec_key)
      local config = text and config_of_text[text] or codec.of_agent(source.codec_key, text)
      config_of_text[text], config_of[source] = config, config
      if config.input_dim ~= config_of[first].input_dim then
        local one, other = layout.agent(first.index), layout.agent(source.index)
        local refusal = 'agents %s and %s cannot be in one sample: their states have %d and %d features'
        errors.refuse('BADARG', refusal:format(one, other, config_of[first].input_dim, config.input_dim))
      end
    end
  end
  return config_of
end

-- The states of all memories, row after row: each decoder runs once for all agents with the same codecs.
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
    for i, text in ipairs(layout.metadata(group.source.index, group.ids)) do
      texts[group.rows[i]] = text
    end
  end
  return texts
end

-- {numbers of the sources, one a draw, ids, states FLOAT row after row, metadata as JSON texts or false}.
-- Fields that are not wanted are empty.
function sampling.reply(drawn, fields)
  local numbers = {}
  for i, source in ipairs(drawn.sources) do
    numbers[i] = source.number
  end
  local states = fields ~= 'metadata' and states_of(drawn) or ''
  return { numbers, drawn.ids, states, fields ~= 'states' and metadata_of(drawn) or {} }
end

return sampling
