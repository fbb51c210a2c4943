#!lua flags=allow-oom
--[[ Deletes memories of one agent by their timestamps, with all that goes with them; what has a value or
     metadata but no index entry goes, too. Repeated, it deletes what is left.
     KEYS[1] index zset.
     ARGV[1] timestamps, a JSON array of integers.
     Returns how many of them the index had.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(B log N). ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout
-- @include memories

return errors.guard(function()
  local memory = layout.open_to_write(KEYS[1])
  local ids = timestamps.parse(ARGV[1], 'timestamps')
  arguments.integer(#ids, 'the number of timestamps', 1, arguments.largest_batch)
  return memories.drop(memory, ids)
end)
