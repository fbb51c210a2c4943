-- Where memories of a packed agent are: from ranks, counted from 0, the oldest, and from timestamps to
-- segments and rows. A page is {size, first, last, step}: ranks; or {size, groups, missing}: a group is
-- {entry of a segment, count, places, rows}, the memories at these places of the page; at those that are
-- missing there is none, but for the timestamp that was asked for.
-- @include directory
-- @include segments
local packed_pages = {}

local WORTH_ALL = 5 -- look-ups in one segment from which on it is faster to read all its timestamps

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

-- The row of a timestamp in segment `e`: false where there is none, nil where its timestamps are gone.
local function find_row(memory, e, timestamp)
  local row = segments.row_at_time(memory, e, timestamp)
  local text = row and segments.rows_text(memory, e, row, row) or ''
  if text == '' then
    return nil
  end
  return segments.timestamp(e, text, 0) == timestamp and row
end

-- All timestamps of segment `e`, in order, nil where they are gone.
local function all_times(memory, e)
  local text = segments.rows_text(memory, e, segments.live(e))
  return text ~= '' and segments.timestamps(e, text) or nil
end

-- Where a timestamp is among some in order, false where it is not.
local function find(times, timestamp)
  local low, high = 1, #times
  while low < high do
    local sum = low + high
    local middle = (sum - sum % 2) / 2
    if times[middle] < timestamp then
      low = middle + 1
    else
      high = middle
    end
  end
  return times[low] == timestamp and low
end

-- A function that says where the memory at a timestamp, a number, is: its segment's place in the directory
-- and its row; nil where there is none. Of a segment whose timestamps are gone any may have been, and the row
-- is nil. Where many of one segment are asked for it reads them all: so it is for as long as nothing changes.
function packed_pages.locator(memory)
  local looks, times_of = {}, {}
  return function(timestamp)
    local i = directory.at_time(memory, timestamp)
    local e = i <= directory.size(memory) and directory.entry(memory, i)
    if not e or timestamp < e.first then
      return nil
    end
    looks[i] = (looks[i] or 0) + 1
    if looks[i] == WORTH_ALL then
      times_of[i] = all_times(memory, e)
    end
    local row
    if times_of[i] then
      local at = find(times_of[i], timestamp)
      row = at and e.skip + at - 1
    else
      row = find_row(memory, e, timestamp)
    end
    if row == false then
      return nil
    end
    return i, row
  end
end

-- A page of scattered memories that has none yet.
local function new_page(size)
  return { size = size, groups = {}, missing = {} }
end

-- The group of a page for memories of segment `i`; `by_segment` are those that there are.
local function group_for(page, by_segment, i, e)
  local group = by_segment[i]
  if not group then
    group = { entry = e, count = 0, places = {}, rows = {} }
    by_segment[i], page.groups[#page.groups + 1] = group, group
  end
  return group
end

-- Puts the memory in row `row` of the group's segment at place `n` of the page.
local function place(group, n, row)
  local count = group.count + 1
  group.count, group.places[count], group.rows[count] = count, n, row
end

-- The page of these ids, texts or numbers.
function packed_pages.at(memory, ids)
  local page, by_segment, locate = new_page(#ids), {}, packed_pages.locator(memory)
  for n = 1, #ids do
    local timestamp = tonumber(ids[n])
    local i, row = locate(timestamp)
    if row then
      place(group_for(page, by_segment, i, directory.entry(memory, i)), n, row)
    else
      page.missing[n] = timestamp
    end
  end
  return page
end

-- The page of these ranks. Most segments are full, so the first guess of where a rank is is right.
function packed_pages.at_ranks(memory, wanted)
  local count, size = #wanted, directory.size(memory)
  local page, by_segment = new_page(count), {}
  if count == 0 or size == 0 then
    return page
  elseif 8 * count > size then
    directory.read_all(memory)
  end
  local origin, share = directory.entry(memory, 1).position, directory.count(memory) / size
  for n = 1, count do
    local rank = wanted[n]
    local guess = rank / share
    local i = guess - guess % 1 + 1
    local group = by_segment[i]
    local e = group and group.entry or directory.entry(memory, i)
    local row = rank - e.position + origin
    if row < 0 or row >= e.rows then
      i = directory.at_rank(memory, rank)
      e = directory.entry(memory, i)
      group, row = by_segment[i], rank - e.position + origin
    end
    place(group or group_for(page, by_segment, i, e), n, e.skip + row)
  end
  return page
end

return packed_pages
