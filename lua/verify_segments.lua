#!lua flags=no-writes
--[[ Says what is in segments, found by their keys, that the directory of one agent does not have, as is left
     where Redis has evicted that.
     KEYS[1] index.
     ARGV[1] numbers of segments, a JSON array of integers.
     Returns {timestamps, strays, unreadable}: of memories that repair_segments.lua would enter; the numbers of
     those segments; and those of them that cannot be read, since Redis has evicted a part.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(segments of the agent + memories of those looked at). ]]
-- @include errors
-- @include arguments
-- @include layout
-- @include strays

return errors.guard(function()
  local memory = layout.open(KEYS[1], 'packed')
  local found, numbers, unreadable = {}, {}, {}
  strays.each(memory, ARGV[1], function(e, _, ids)
    for _, id in ipairs(ids or {}) do
      found[#found + 1] = id
    end
    numbers[#numbers + 1] = e.number
    unreadable[#unreadable + 1] = not ids and e.number or nil
  end)
  return { found, numbers, unreadable }
end)
