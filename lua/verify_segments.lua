#!lua flags=no-writes
--[[ Says what there is of segments of a packed agent that its directory does not have.
     KEYS[1] index.
     ARGV[1] numbers of segments that were found among the agent's keys, a JSON array.
     Returns {timestamps of their memories, names of columns without the others}.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(number of segments + memories of those that the directory does not have). ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout

return errors.guard(function()
  local memory = layout.open(KEYS[1], 'packed')
  local found, columns = {}, {}
  for _, number in ipairs(arguments.json(ARGV[1], 'numbers')) do
    arguments.integer(number, 'number', 1, 2 ^ 32 - 1)
    local times, names = memory:strays(number)
    for _, timestamp in ipairs(times) do
      found[#found + 1] = timestamp
    end
    for _, name in ipairs(names) do
      columns[#columns + 1] = name
    end
  end
  return { timestamps.texts(found), columns }
end)
