#!lua flags=no-writes
--[[ Draws sequences of memories that follow each other, of one or several agents, at random with replacement:
     each place where one can begin is as probable as another. Sequences in which Redis has evicted a value
     are never drawn; fewer than `count` come where nearly all are so.
     KEYS[1…] of each agent: index zset, memory_system.
     ARGV[1] count, from 1. ARGV[2] length, from 1. ARGV[3] seed, text: the same draws the same. ARGV[4]
     fields, as in recall_recent.lua.
     Returns {agents, timestamps, states FLOAT[B * length, input_dim] row after row, metadata}: agents are
     numbers, from 1, in KEYS, one a sequence, B at most count, none where KEYS is one agent; timestamps and
     metadata, JSON texts or false, are those of sequence after sequence, oldest first. A field that is not
     wanted is empty.
     Errors MEMERR BADARG NOTFOUND NOCODEC NOMODELS CORRUPT WRONGTYPE BADCODEC.
     Cost O(number of agents + B (length + log N)) and one run of each decoder. ]]
-- @include errors
-- @include arguments
-- @include random
-- @include recall
-- @include sampling

-- One lot an agent, that weighs as much as there are places to begin.
local function lots_of(sources, length)
  local lots = {}
  for _, source in ipairs(sources) do
    local starts = source.count - length + 1
    if starts > 0 then
      lots[#lots + 1] = { source = source, weight = starts }
    end
  end
  return lots
end

-- Draws a sequence for each of the lots.
local function look_for(length)
  return function(source, count, lot_of)
    local wanted = {}
    for n = 1, count do
      local first, before = random.below(lot_of(n).weight), (n - 1) * length
      for i = 1, length do
        wanted[before + i] = first + i - 1
      end
    end
    return source.memory:at_ranks(wanted)
  end
end

return errors.guard(function()
  arguments.integer(#KEYS / 2, 'the number of agents', 1, arguments.most_agents)
  local sources = {}
  for i = 1, #KEYS, 2 do
    sampling.add_source(sources, KEYS[i], KEYS[i + 1])
  end
  local count = arguments.integer(ARGV[1], 'count', 1, arguments.largest_batch)
  local length = arguments.integer(ARGV[2], 'length', 1, arguments.largest_batch)
  arguments.integer(count * length, 'count * length', 1, arguments.largest_batch)
  local fields, encoded_from = recall.fields(ARGV[4])
  local lots = lots_of(sources, length)
  if #lots == 0 then
    sampling.refuse_empty(sources, string.format('there are no %d memories in a row', length))
  end
  random.begin(ARGV[3])
  local drawn = sampling.draw(count, length, lots, look_for(length))
  if drawn.count == 0 then
    sampling.refuse_empty(sources, 'in each sequence drawn a value is gone among the memories')
  end
  return sampling.reply(drawn, sources, fields, encoded_from)
end)
