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
-- @include layout_keys

return errors.guard(function()
  arguments.key_type(KEYS[1], 'zset')
  local first, last = timestamps.id(ARGV[1], 'start'), timestamps.id(ARGV[2], 'end')
  return layout.count_between(KEYS[1], first, last)
end)
