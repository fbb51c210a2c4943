#!lua flags=no-writes
--[[ Counts the codes of the newest memory of one agent that Redis has not evicted: where both documents are
     gone, the length of states that a codec of any length was given follows from it.
     KEYS[1] index zset.
     ARGV[1] how many of the newest memories to look at, from 1.
     Returns their number, 0 where none of these memories can tell.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(log N + those looked at). ]]
-- @include errors
-- @include arguments
-- @include codec
-- @include layout

return errors.guard(function()
  local memory = layout.open(KEYS[1])
  local newest = arguments.integer(ARGV[1], 'newest', 1, arguments.largest_batch)
  for _, value in ipairs(memory:values(memory:newest(0, newest))) do
    local codes = value and codec.count_codes(value)
    if codes then
      return codes
    end
  end
  return 0
end)
