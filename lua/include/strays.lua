-- Segments that are found by their keys and that the directory of their agent does not have.
-- @include arguments
-- @include timestamps
-- @include segments
local strays = {}

-- Calls visit(entry, memories, ids) for each of the segments, numbers as a JSON array, that the agent does
-- not have: with those of its memories whose timestamps are free, nil where they cannot be read.
function strays.each(memory, numbers, visit)
  numbers = arguments.json(numbers, 'numbers of segments')
  arguments.integer(#numbers, 'the number of segments', 1, arguments.largest_batch)
  local own = memory:segment_numbers()
  for _, number in ipairs(numbers) do
    number = arguments.integer(number, 'number of a segment', 0, 2 ^ 32 - 1)
    local e = not own[number] and segments.recover(memory, number)
    local each = e and segments.memories(memory, e)
    if each then
      local by_id, free, times = {}, {}, {}
      for i, one in ipairs(each) do
        times[i] = one.timestamp
      end
      for i, id in ipairs(timestamps.texts(times)) do
        by_id[id], times[i] = each[i], id
      end
      local _, ids = memory:indexed(times)
      for i, id in ipairs(ids) do
        free[i] = by_id[id]
      end
      visit(e, free, ids)
    elseif not own[number] then
      visit(e or { number = number })
    end
  end
end

return strays
