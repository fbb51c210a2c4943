-- Where memories of a packed agent are: from ranks, counted from 0, the oldest, and from timestamps to
-- segments and rows. A page is {size, first, last, step}: ranks; or {size, at}: for each memory {entry, row},
-- or {missing = timestamp}.
-- @include directory when used
-- @include segments when used
local packed_pages = {}

-- How many memories are older than `timestamp`.
function packed_pages.rank_of(memory, timestamp)
  local i = directory.at_time(memory, timestamp)
  if i > directory.size(memory) then
    return directory.count(memory)
  end
  local e = directory.entry(memory, i)
  local before = e.position - directory.entry(memory, 1).position
  local row = timestamp > e.first and segments.row_at_time(memory, e, timestamp)
  return before + (row and row - e.skip or 0)
end

-- The page of up to `limit` of the ranks first … last.
function packed_pages.range(first, last, limit, newest_first)
  local size = math.max(0, math.min(limit, last - first + 1))
  if newest_first then
    return { size = size, first = last, last = last - size + 1, step = -1 }
  end
  return { size = size, first = first, last = first + size - 1, step = 1 }
end

-- Calls visit(entry, first row, last row, step) for each piece of a range of ranks, in its order.
function packed_pages.each_piece(memory, page, visit)
  local rank, left, step = page.first, page.size, page.step
  if left <= 0 then
    return
  end
  local i = directory.at_rank(memory, rank)
  local origin = directory.entry(memory, 1).position
  while left > 0 do
    local e = directory.entry(memory, i)
    local row = e.skip + rank - (e.position - origin)
    local oldest, newest = segments.live(e)
    local other = step > 0 and math.min(newest, row + left - 1) or math.max(oldest, row - left + 1)
    visit(e, row, other, step)
    local count = math.abs(other - row) + 1
    left, rank, i = left - count, rank + step * count, i + step
  end
end

-- Where the memory at a timestamp, a number, is: its segment's place in the directory and its row; nil where
-- there is none. Of a segment whose timestamps are gone any may have been, and the row is nil.
function packed_pages.locate(memory, timestamp)
  local i = directory.at_time(memory, timestamp)
  if i > directory.size(memory) or timestamp < directory.entry(memory, i).first then
    return nil
  end
  local e = directory.entry(memory, i)
  local row = segments.row_at_time(memory, e, timestamp)
  local text = row and segments.rows_text(memory, e, row, row) or ''
  if text ~= '' and segments.timestamps(e, text)[1] ~= timestamp then
    return nil
  end
  return i, text ~= '' and row or nil
end

-- The page of these ids, texts or numbers.
function packed_pages.at(memory, ids)
  local at = {}
  for n = 1, #ids do
    local timestamp = tonumber(ids[n])
    local i, row = packed_pages.locate(memory, timestamp)
    at[n] = row and { entry = directory.entry(memory, i), row = row } or { missing = timestamp }
  end
  return { size = #ids, at = at }
end

return packed_pages
