#!lua flags=no-writes
--[[ Says which timestamps, that were found among an agent's keys, companions or stream, the index does not
     have.
     KEYS[1] index zset.
     ARGV[1] timestamps, a JSON array of integers.
     Returns {with value, without}, two lists of timestamps.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(B). ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout_keys
-- @include recall

return errors.guard(function()
  local index = KEYS[1]
  arguments.key_type(index, 'zset')
  local ids = timestamps.parse(ARGV[1], 'timestamps')
  arguments.integer(#ids, 'the number of timestamps', 1, arguments.largest_batch)
  local _, strangers = layout.indexed(index, ids)
  local with_value, without = {}, {}
  recall.gather(index, strangers, with_value, {}, without)
  return { with_value, without }
end)
