#!lua
--[[ Gives memories other priorities, to be sampled by. Those that are no longer there are passed over; of
     priorities for the same memory the last counts.
     KEYS[1…] index zset of each agent.
     ARGV[1] timestamps, a JSON array of integers. ARGV[2] priorities, a JSON array of as many finite numbers
     above 0; what is not from 2^-32 to 2^32 is brought there. ARGV[3] whose they are: a JSON array of as many
     numbers, from 1, in KEYS; empty text where there is one agent.
     Returns how many memories have the priority now that was given.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(B log N). ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout
-- @include priorities

-- For each index the priority by id, and the ids in the order given.
local function read_updates(indexes, ids, numbers, owners)
  local updates = {}
  for i, index in ipairs(indexes) do
    updates[i] = { index = index, ids = {}, number_of = {} }
  end
  for i, id in ipairs(ids) do
    local number = numbers[i]
    if type(number) ~= 'number' or not (number > 0 and number < math.huge) then
      local text = 'priorities[%d] is %s, not a finite number above 0'
      errors.refuse('BADARG', text:format(i - 1, tostring(number)))
    end
    local update = updates[owners and arguments.integer(owners[i], 'agents', 1, #indexes) or 1]
    if not update.number_of[id] then
      update.ids[#update.ids + 1] = id
    end
    update.number_of[id] = number
  end
  return updates
end

return errors.guard(function()
  local indexes, opened = {}, {}
  for i = 1, #KEYS do
    indexes[i] = KEYS[i]
    opened[i] = layout.open(KEYS[i])
    priorities.must_fit(KEYS[i])
  end
  arguments.integer(#indexes, 'the number of agents', 1, arguments.most_agents)
  local ids, numbers = timestamps.parse(ARGV[1], 'timestamps'), arguments.json(ARGV[2], 'priorities')
  local owners = (ARGV[3] ~= '' or #indexes > 1) and arguments.json(ARGV[3], 'agents')
  arguments.integer(#ids, 'the number of timestamps', 1, arguments.largest_batch)
  if #numbers ~= #ids or #(owners or ids) ~= #ids then
    local text = '%d timestamps have %d priorities and %d agents'
    errors.refuse('BADARG', text:format(#ids, #numbers, #(owners or ids)))
  end
  local updated = 0
  for i, update in ipairs(read_updates(indexes, ids, numbers, owners)) do
    local known, given = opened[i]:indexed(update.ids), {}
    for n, id in ipairs(known) do
      given[n] = update.number_of[id]
    end
    priorities.set(update.index, known, given)
    updated = updated + #known
  end
  return updated
end)
