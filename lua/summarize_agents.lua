#!lua flags=no-writes
--[[ How many memories each of some agents has, from when to when, and in which layout.
     KEYS[1…] index of each agent.
     Returns {memories, oldest or false, newest or false, layout} for each: layout is keys, packed or mixed.
     Errors MEMERR WRONGTYPE.
     Cost O(agents log N). ]]
-- @include errors
-- @include layout

return errors.guard(function()
  local summaries = {}
  for i = 1, #KEYS do
    local memory = layout.open(KEYS[i])
    local oldest, newest = memory:last(memory:oldest(1)), memory:last(memory:newest(0, 1))
    summaries[i] = { memory:count(), oldest or false, newest or false, memory.layout }
  end
  return summaries
end)
