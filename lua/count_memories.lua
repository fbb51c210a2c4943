#!lua flags=no-writes
--[[ Counts the memories that the index of one agent has in a range of timestamps.
     KEYS[1] index zset.
     ARGV[1] first and ARGV[2] last timestamp, both included.
     Returns their number, with those whose value Redis has evicted.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(log N). ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout

return errors.guard(function()
  local first, last = timestamps.id(ARGV[1], 'start'), timestamps.id(ARGV[2], 'end')
  return layout.open(KEYS[1]):count_between(first, last)
end)
