#!lua flags=no-writes
--[[ Draws memories of one or several agents at random, with replacement. Those whose value Redis has evicted
     are never drawn; fewer than `count` come where nearly all are.
     KEYS[1…] of each agent: index zset, memory_system.
     ARGV[1] count, from 1. ARGV[2] weight of a memory: uniform, recency (half for every half_life memories
     that its agent has after it) or priority (its power alpha). ARGV[3] seed, text: the same draws the same.
     ARGV[4] fields, as in recall_recent.lua. ARGV[5] half_life. ARGV[6] alpha, 0 to 2. ARGV[7] beta, 0 to 1.
     ARGV[8] what of memories that have no priority: refuse to draw, or leave them out.
     Returns {agents, timestamps, states FLOAT[B, input_dim] row after row, metadata, weights FLOAT[B],
     lacking}: agents are numbers, from 1, in KEYS, none where that is one agent; metadata are JSON texts or
     false. weights, empty but for priority, are (priority / least priority) ^ (-alpha * beta). lacking are
     the agents that have memories without priority where that is refused: nothing was drawn,
     enter_priorities.lua gives them one. A field that is not wanted is empty.
     Errors MEMERR BADARG NOTFOUND NOCODEC NOMODELS CORRUPT WRONGTYPE BADCODEC.
     Cost O(number of agents + B log N) and one run of each decoder; by priority for each agent another
     O(log N) for each power of two between its priorities. ]]
-- @include errors
-- @include arguments
-- @include priorities
-- @include random
-- @include recall
-- @include sampling

-- Draws from one lot an agent with memories, that weighs weight_of(count): ranks_of(draws, count) says which.
local function by_rank(weight_of, ranks_of)
  local function look(source, draws)
    return source.memory:at_ranks(ranks_of(draws, source.count))
  end

  return function(sources)
    local lots = {}
    for _, source in ipairs(sources) do
      if source.count > 0 then
        lots[#lots + 1] = { source = source, weight = weight_of(source.count) }
      end
    end
    return lots, look
  end
end

local function uniform()
  return by_rank(function(count) return count end, random.many_below)
end

-- The memory with k after it weighs falling ^ k, and they are drawn by the inverse of the sum of these.
local function recency(half_life)
  local falling = 0.5 ^ (1 / half_life)
  local function sum(count)
    return (1 - falling ^ count) / (1 - falling)
  end

  return by_rank(sum, function(draws, count)
    local ranks = {}
    for i = 1, draws do
      local share = 1 - random.number() * (1 - falling ^ count)
      local after = math.floor(-half_life * math.log(share) / math.log(2))
      ranks[i] = count - 1 - math.min(after, count - 1)
    end
    return ranks
  end)
end

-- A lot is a bucket of priorities that weighs as if all were of its bound; one that is drawn from it stays
-- with the probability (priority / bound) ^ alpha, 2 ^ -alpha or more. So each is as probable as it must be,
-- and no sum of priorities has to be kept.
local function priority(alpha)
  local function look(source, count, lot_of)
    local wanted = {}
    for i = 1, count do
      local lot = lot_of(i)
      wanted[i] = lot.first + random.below(lot.count)
    end
    local ids, priority_of = priorities.at_ranks(source.memory.index, wanted)
    local taken, draws, numbers = {}, {}, {}
    for i = 1, count do
      if random.number() < (priority_of[i] / lot_of(i).bound) ^ alpha then
        local n = #draws + 1
        taken[n], draws[n], numbers[n] = ids[i], i, priority_of[i]
      end
    end
    return source.memory:at(taken), draws, numbers
  end

  return function(sources)
    local lots = {}
    for _, source in ipairs(sources) do
      for _, bucket in ipairs(priorities.buckets(source.memory.index)) do
        bucket.source, bucket.weight = source, bucket.count * bucket.bound ^ alpha
        lots[#lots + 1] = bucket
      end
    end
    return lots, look
  end
end

-- The numbers of the sources that have memories without priority, or priorities without memory.
local function lacking_of(sources)
  local lacking = {}
  for number, source in ipairs(sources) do
    priorities.must_fit(source.memory.index)
    if priorities.count(source.memory.index) ~= source.count then
      lacking[#lacking + 1] = number
    end
  end
  return lacking
end

-- The weights of `drawn` as bytes: 1 for the least priority that an agent has.
local function weights_of(sources, drawn, power)
  local least, weights = math.huge, {}
  for _, source in ipairs(sources) do
    least = math.min(least, priorities.least(source.memory.index) or least)
  end
  for i, number in ipairs(sampling.numbers(drawn)) do
    weights[i] = struct.pack('<f', (number / least) ^ power)
  end
  return table.concat(weights)
end

local function way_of(by, alpha)
  if by == 'uniform' then
    return uniform()
  elseif by == 'recency' then
    return recency(arguments.number(ARGV[5], 'half_life', 0.001, 2 ^ 32))
  elseif by == 'priority' then
    return priority(alpha)
  end
  errors.refuse('BADARG', 'by is ' .. tostring(by) .. ', not uniform, recency or priority')
end

return errors.guard(function()
  arguments.integer(#KEYS / 2, 'the number of agents', 1, arguments.most_agents)
  local sources = {}
  for i = 1, #KEYS, 2 do
    sampling.add_source(sources, KEYS[i], KEYS[i + 1])
  end
  local count = arguments.integer(ARGV[1], 'count', 1, arguments.largest_batch)
  local by = ARGV[2]
  local fields, encoded_from = recall.fields(ARGV[4])
  local alpha, beta = arguments.number(ARGV[6], 'alpha', 0, 2), arguments.number(ARGV[7], 'beta', 0, 1)
  if ARGV[8] ~= 'refuse' and ARGV[8] ~= 'leave' then
    errors.refuse('BADARG', 'without priority is ' .. tostring(ARGV[8]) .. ', not refuse or leave')
  end
  local make_lots = way_of(by, alpha)
  local lacking = by == 'priority' and lacking_of(sources) or {}
  if ARGV[8] == 'refuse' and #lacking > 0 then
    return { {}, {}, '', {}, '', lacking }
  end

  random.begin(ARGV[3])
  local lots, look = make_lots(sources)
  if #lots == 0 then
    sampling.refuse_empty(sources, 'there are no memories')
  end
  local drawn = sampling.draw(count, 1, lots, look)
  if drawn.count == 0 then
    sampling.refuse_empty(sources, 'none that was drawn has a value among the memories')
  end
  local reply = sampling.reply(drawn, sources, fields, encoded_from)
  reply[5] = by == 'priority' and weights_of(sources, drawn, -alpha * beta) or ''
  reply[6] = {}
  return reply
end)
