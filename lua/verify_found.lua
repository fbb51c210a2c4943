#!lua flags=no-writes
--[[ Says which timestamps, that were found among an agent's keys, companions or stream, the index does not
     have.
     KEYS[1] index zset.
     ARGV[1] timestamps, a JSON array of integers.
     Returns {with value, without}, two lists of timestamps; of the latter those of which something is left.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(B). ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout
-- @include mending

return errors.guard(function()
  local memory = layout.open(KEYS[1])
  local ids = timestamps.parse(ARGV[1], 'timestamps')
  arguments.integer(#ids, 'the number of timestamps', 1, arguments.largest_batch)
  local _, strangers = memory:indexed(ids)
  local found, without = memory:read(memory:at(strangers))
  return { found.ids, mending.remnants(memory, timestamps.texts(without)) }
end)
