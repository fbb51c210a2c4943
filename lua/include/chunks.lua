-- Divides many memories into calls of some: unpack() takes under 8000 values, a call up to three a memory.
local chunks = {}

local SIZE = 1000

-- Calls visit(from, to) for every chunk of first … last.
function chunks.each(first, last, visit)
  for from = first, last, SIZE do
    visit(from, math.min(from + SIZE - 1, last))
  end
end

return chunks
