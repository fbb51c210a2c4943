#!lua flags=allow-oom
--[[ Mends memories of one agent, each by what it finds: what has no value, or a corrupt one, is dropped with
     all that goes with it; what has a value that the index does not have is indexed; the companion of the
     agent's retention gets its numbers. What cannot be decoded, and may be when its decoder works, stays.
     KEYS[1] index zset. KEYS[2] agent metadata. KEYS[3] agent memory_system.
     ARGV[1] timestamps, a JSON array of integers. ARGV[2] keep, or anew to empty the companions first.
     Returns {lost, corrupt, indexed, removed, entered}: memories of the index without a value; with a corrupt
     one; indexed; remnants that were removed; numbers that were entered. counters.lost and counters.repaired
     count them.
     Errors MEMERR BADARG NOMODELS WRONGTYPE.
     Cost O(B log N) and one run of each decoder. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include codec
-- @include layout_keys
-- @include policy
-- @include companions
-- @include memories
-- @include layout
-- @include agents
-- @include mending

-- The ids that are in none of the lists.
local function without(ids, lists)
  local listed, others = {}, {}
  for _, list in ipairs(lists) do
    for _, id in ipairs(list) do
      listed[id] = true
    end
  end
  for _, id in ipairs(ids) do
    if not listed[id] then
      others[#others + 1] = id
    end
  end
  return others
end

return errors.guard(function()
  local memory, agent_key, codec_key = layout.open_to_write(KEYS[1]), KEYS[2], KEYS[3]
  local index = memory.index
  arguments.key_type(agent_key, 'ReJSON-RL')
  arguments.key_type(codec_key, 'ReJSON-RL')
  local wanted = timestamps.parse(ARGV[1], 'timestamps')
  arguments.integer(#wanted, 'the number of timestamps', 0, arguments.largest_batch)
  if ARGV[2] ~= 'keep' and ARGV[2] ~= 'anew' then
    errors.refuse('BADARG', 'companions is ' .. tostring(ARGV[2]) .. ', neither keep nor anew')
  end
  local found, gone = memory:read(memory:at(wanted))
  found.ids, gone = timestamps.texts(found.ids), timestamps.texts(gone)
  local corrupt, undecodable = mending.examine(memory, codec_key, found)
  local sound = without(found.ids, { corrupt, undecodable })
  local rule, companion = mending.companion(index, agent_key)
  local numbers = companion and mending.numbers(rule, companion, memory, memory:at(sound))

  local _, others = memory:indexed(gone)
  local removed = #mending.remnants(memory, others) -- before they are dropped
  if ARGV[2] == 'anew' then
    companions.clear(index)
  end
  local lost = memories.drop(memory, gone) -- more than known, where several have one timestamp left
  memories.drop(memory, corrupt)
  local _, strangers = memory:indexed(without(found.ids, { corrupt }))
  memory:enter(strangers)
  local lacking = companion and companion.lacking(index, sound, numbers) or {}
  if companion then
    companion.enter(index, sound, numbers, 1, #sound)
  end
  agents.count_gone(agent_key, lost)
  agents.count_up(agent_key, 'lost', #corrupt)
  agents.count_up(agent_key, 'repaired', #strangers + removed + #lacking)
  return { lost, #corrupt, #strangers, removed, #lacking }
end)
