#!lua
--[[ Enters the memories of segments that the directory of a packed agent does not have, and removes columns
     that are without the others. It is done as a whole or not at all.
     KEYS[1] index. KEYS[2] agent metadata.
     ARGV[1] numbers of segments, a JSON array.
     Returns {entered, removed}: memories; columns. counters.repaired counts both.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(number of segments + memories of those that are entered). ]]
-- @include errors
-- @include arguments
-- @include layout
-- @include agents

return errors.guard(function()
  local memory = layout.open_to_write(KEYS[1], 'packed')
  arguments.key_type(KEYS[2], 'ReJSON-RL')
  local entered, removed = 0, 0
  for _, number in ipairs(arguments.json(ARGV[1], 'numbers')) do
    arguments.integer(number, 'number', 1, 2 ^ 32 - 1)
    if memory.layout == 'packed' then
      local _, columns = memory:strays(number)
      removed, entered = removed + #columns, entered + memory:adopt(number)
    end
  end
  agents.count_up(KEYS[2], 'repaired', entered + removed)
  return { entered, removed }
end)
