-- What the samples share: drawing from several agents by weight, and the reply.
--
-- A source is an agent that may be drawn from: {number, memory, codec_key, count}. A lot is what is drawn
-- first, an agent's memories or some of them: {source, weight}. What is drawn are parts, one for each agent:
-- {source, found = what memory:read gave, `size` memories a draw, positions = which draws of all these are,
-- numbers = one a draw or nil}. A single part is the reply as it is; otherwise rows are put in their places.
-- @include errors
-- @include arguments
-- @include codec
-- @include layout
-- @include random
local sampling = {}

local LOOKS = 8 -- draws for each that is wanted: many come to nothing only where many values are evicted
local LEAST_LOOKS = 1024 -- memories that are looked at in any case

-- Adds the agent of these keys.
function sampling.add_source(sources, index, codec_key)
  local number, memory = #sources + 1, layout.open(index)
  sources[number] = { number = number, memory = memory, codec_key = codec_key, count = memory:count() }
end

-- Ends the script where there is nothing to draw; `what` says of what.
function sampling.refuse_empty(sources, what)
  local others = #sources > 1 and string.format(', nor of %d more', #sources - 1) or ''
  errors.refuse('NOTFOUND', string.format('%s of agent %s%s', what, sources[1].memory.agent, others))
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

-- Draws a lot for each of `count` positions, those of the list `open` or where that is nil from 1 on: a list
-- of {source, count, lot_of = a function from the number of a draw to its lot, positions or nil for all}.
local function draw_lots(count, open, lots, choose)
  if #lots == 1 then
    local lot = lots[1]
    return { { source = lot.source, count = count, lot_of = function() return lot end, positions = open } }
  end
  local groups, group_of = {}, {}
  for i = 1, count do
    local lot = choose()
    local group = group_of[lot.source]
    if not group then
      local own = {}
      group = { source = lot.source, count = 0, lots = own, positions = {} }
      group.lot_of = function(draw) return own[draw] end
      group_of[lot.source], groups[#groups + 1] = group, group
    end
    local n = group.count + 1
    group.count, group.lots[n], group.positions[n] = n, lot, open and open[i] or i
  end
  return groups
end

-- Of draws of `size` memories, whose page and values are these: the ids of the draws that have all their
-- values, and which draws they are.
local function complete(memory, page, size)
  local ids, values, kept, draws = memory:ids(page), memory:values(page), {}, {}
  for draw = 1, memory:size(page) / size do
    local from, whole = (draw - 1) * size, true
    for n = 1, size do
      whole = whole and values[from + n]
    end
    for n = 1, whole and size or 0 do
      kept[#kept + 1] = ids[from + n]
    end
    draws[#draws + 1] = whole and draw or nil
  end
  return kept, draws
end

-- The entries of a list at these numbers.
local function at(list, numbers)
  local some = {}
  for i, number in ipairs(numbers) do
    some[i] = list[number]
  end
  return some
end

-- Adds to `again` the positions of a group whose draws are not among `done`.
local function add_others(again, group, done)
  local is_done = {}
  for _, draw in ipairs(done) do
    is_done[draw] = true
  end
  for draw = 1, group.count do
    if not is_done[draw] then
      again[#again + 1] = group.positions and group.positions[draw] or draw
    end
  end
end

-- The part that a group has drawn: look() gave the page, and where not all of its draws are in it, which are,
-- and the numbers of these. The positions of draws without all their values are added to `again`.
local function take(group, size, again, page, draws, numbers)
  local memory = group.source.memory
  local found, gone = memory:read(page)
  if #gone > 0 then
    local ids, whole = complete(memory, page, size)
    found = memory:read(memory:at(ids))
    draws, numbers = draws and at(draws, whole) or whole, numbers and at(numbers, whole)
  end
  local part = { source = group.source, found = found, count = group.count, numbers = numbers }
  part.positions = group.positions
  if draws then
    part.count, part.positions = #draws, group.positions and at(group.positions, draws) or draws
    add_others(again, group, draws)
  end
  return part
end

-- Gives each part the rows of its memories in the reply; positions that nothing was drawn for are left out.
local function place(drawn, open, count)
  local is_open, row_of, row = {}, {}, 0
  for _, position in ipairs(open) do
    is_open[position] = true
  end
  for position = 1, count do
    if not is_open[position] then
      row_of[position], row = row, row + drawn.size
    end
  end
  for _, part in ipairs(drawn.parts) do
    local rows, n = {}, 0
    for draw = 1, part.count do
      local before = row_of[part.positions and part.positions[draw] or draw]
      for i = 1, drawn.size do
        n = n + 1
        rows[n] = before + i
      end
    end
    part.rows = rows
  end
end

-- Draws `count` times `size` memories with replacement; returns {size, count, parts}. look(source, draws,
-- lot_of) draws from an agent, once from lot_of(i) for each i from 1 to `draws`, and returns a page with
-- `size` memories a draw; where some came to nothing, which are in it, and if draws have numbers, those. The
-- others are drawn again, as are those without a value. The number of draws is bounded, so fewer than `count`
-- come where nearly all are in vain.
function sampling.draw(count, size, lots, look)
  local choose, drawn = chooser(lots), { size = size, parts = {} }
  local left, open, open_count = math.max(LOOKS * count, LEAST_LOOKS / size), nil, count
  while open_count > 0 and left > 0 do
    left = left - open_count
    local again = {}
    for _, group in ipairs(draw_lots(open_count, open, lots, choose)) do
      local part = take(group, size, again, look(group.source, group.count, group.lot_of))
      if part.count > 0 then
        drawn.parts[#drawn.parts + 1] = part
      end
    end
    open, open_count = again, #again
  end
  drawn.count = count - open_count
  if #drawn.parts > 1 or open_count > 0 then
    place(drawn, open, count)
  end
  return drawn
end

-- Puts what each part has, a list with an entry for each of its memories, in the order of the reply.
local function in_order(drawn, list_of)
  local all = {}
  for _, part in ipairs(drawn.parts) do
    local list = list_of(part)
    if not part.rows then
      return list
    end
    for i, row in ipairs(part.rows) do
      all[row] = list[i]
    end
  end
  return all
end

-- What each draw has, a number that number_of(part, i) says, in the order of the reply.
local function of_draws(drawn, number_of)
  local numbers, size = {}, drawn.size
  for _, part in ipairs(drawn.parts) do
    local rows = part.rows
    for i = 1, part.count do
      numbers[rows and rows[i * size] / size or i] = number_of(part, i)
    end
  end
  return numbers
end

-- The numbers that draws have.
function sampling.numbers(drawn)
  return of_draws(drawn, function(part, i) return part.numbers[i] end)
end

-- The parts by the codec of their agent: a list of {config, index, ids, runs, rows}; agents with the same
-- text are decoded together. States of different length are refused.
local function by_codec(drawn)
  local groups, group_of, parts = {}, {}, drawn.parts
  if #parts == 1 then
    local source, found = parts[1].source, parts[1].found
    local config = codec.of_agent(source.codec_key)
    local rows = parts[1].rows or {}
    return { { config = config, memory = source.memory, ids = found.ids, runs = found.runs, rows = rows } }
  end
  for _, part in ipairs(parts) do
    local source = part.source
    local text = arguments.document(source.codec_key)
    local group = group_of[text or '']
    if not group then
      local config = codec.of_agent(source.codec_key, text)
      group = { config = config, memory = source.memory, ids = {}, runs = {}, rows = {} }
      group_of[text], groups[#groups + 1] = group, group
      if config.input_dim ~= groups[1].config.input_dim then
        local refusal = 'agents %s and %s cannot be in one sample: their states have %d and %d features'
        local one, first = groups[1].memory.agent, groups[1].config
        errors.refuse('BADARG', refusal:format(one, source.memory.agent, first.input_dim, config.input_dim))
      end
    end
    local ids, rows, runs = part.found.ids, part.rows or {}, part.found.runs
    local n = #group.ids
    for i = 1, #ids do
      group.ids[n + i], group.rows[n + i] = ids[i], rows[i]
    end
    for i = 1, #runs do
      group.runs[#group.runs + 1] = runs[i]
    end
  end
  return groups
end

-- The states of all memories, row after row: each decoder runs once for all agents with the same codecs.
local function states_of(drawn)
  local states = {}
  for _, group in ipairs(by_codec(drawn)) do
    local blob = codec.decode(group.memory.index, group.config, group.ids, group.runs)
    if #group.rows == 0 then
      return blob
    end
    local width = #blob / #group.rows
    for i, row in ipairs(group.rows) do
      states[row] = blob:sub((i - 1) * width + 1, i * width)
    end
  end
  return table.concat(states)
end

-- The same where the caller decodes: as codec.encoded gives it, positions being rows.
local function encoded_of(drawn)
  local reply = {}
  for _, group in ipairs(by_codec(drawn)) do
    local encoded = codec.encoded(group.config, group.ids, group.runs)
    reply[1] = encoded[1]
    for i = 2, #encoded do
      if #group.rows > 0 then
        encoded[i][4] = encoded[i][4] and at(group.rows, encoded[i][4]) or group.rows
      end
      reply[#reply + 1] = encoded[i]
    end
  end
  return reply
end

-- {numbers of the sources, one a draw, ids, states FLOAT row after row, metadata as JSON texts or false}.
-- Fields that are not wanted are empty, as the numbers are of a single source, and states that are to stay
-- encoded as codec.encoded gives them.
function sampling.reply(drawn, sources, fields, encoded_from)
  local numbers = #sources > 1 and of_draws(drawn, function(part) return part.source.number end) or {}
  local ids = in_order(drawn, function(part) return part.found.ids end)
  local states, metadata = '', {}
  if fields ~= 'metadata' then
    states = #ids >= encoded_from and encoded_of(drawn) or states_of(drawn)
  end
  if fields ~= 'states' then
    metadata = in_order(drawn, function(part) return part.source.memory:metadata(part.found.page) end)
  end
  return { numbers, ids, states, metadata }
end

return sampling
