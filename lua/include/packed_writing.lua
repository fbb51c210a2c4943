-- Changes the memories of a packed agent. New ones go to the end of the last segment; where some are put
-- between, taken from between, or get other codes, their segment is made anew, and the directory with it.
-- @include directory
-- @include segments
-- @include packed_pages
local packed_writing = {}

-- Appends memories first … last of a batch, all newer than those that there are, to the last segment and to
-- new ones.
function packed_writing.append(memory, batch, first, last)
  while first <= last do
    local i, from = directory.size(memory), batch.timestamps[first]
    local e = i > 0 and directory.entry(memory, i)
    local room = e and segments.room(memory, e, batch, from) or 0
    if room == 0 then
      local position = e and e.position + e.rows or 0
      if e then
        segments.seal(memory, e)
        directory.write(memory, i, e)
      end
      e, i = segments.new(memory, batch, from), i + 1
      e.position, room = position, segments.capacity(batch.width)
    end
    local to = math.min(last, first + room - 1)
    while batch.timestamps[to] - e.base > segments.largest_span do
      to = to - 1
    end
    segments.append(memory, e, batch, first, to)
    directory.write(memory, i, e)
    first = to + 1
  end
end

-- The entries of new segments with memories, oldest first, of whatever kinds. Of those that are too many for
-- one segment each gets as many, so that there is room between them.
local function make_segments(memory, each)
  local entries, first = {}, 1
  while first <= #each do
    local last = first
    while last < #each and segments.alike(each[last + 1], each[first])
      and each[last + 1].timestamp - each[first].timestamp <= segments.largest_span do
      last = last + 1
    end
    local parts = math.ceil((last - first + 1) / segments.capacity(each[first].width))
    local share = math.ceil((last - first + 1) / parts)
    for from = first, last, share do
      entries[#entries + 1] = segments.make(memory, each, from, math.min(last, from + share - 1))
    end
    first = last + 1
  end
  return entries
end

-- Puts these memories, oldest first, in the place of the `removed` segments from `i` on. The segment before
-- them is made anew with them where all fit into one: what becomes small does not stay alone.
local function remake(memory, i, removed, each)
  local before = i > 1 and each[1] and directory.entry(memory, i - 1)
  local fits = before and segments.alike(before, each[1])
    and before.rows + #each <= segments.capacity(before.width)
  if fits then
    local joined = segments.memories(memory, before)
    if joined then
      for _, one in ipairs(each) do
        joined[#joined + 1] = one
      end
      i, removed, each = i - 1, removed + 1, joined
    end
  end
  local entries = make_segments(memory, each)
  for n = i, i + removed - 1 do
    segments.remove(memory, directory.entry(memory, n))
  end
  directory.splice(memory, i, removed, entries)
end

-- Sorts {timestamp, …} by the segment that each belongs to: a list of {i, each}, the last segment first, so
-- that remaking one leaves the places of the others.
local function by_segment(each, place_of)
  local groups, group_of = {}, {}
  for _, one in ipairs(each) do
    local i = place_of(one)
    local group = i and (group_of[i] or { i = i, each = {} })
    if group then
      groups[#groups + 1], group_of[i] = not group_of[i] and group or nil, group
      group.each[#group.each + 1] = one
    end
  end
  table.sort(groups, function(a, b) return a.i > b.i end)
  return groups
end

local function older(a, b)
  return a.timestamp < b.timestamp
end

-- Puts memories, none of which is newer than all that there are, in between.
local function insert(memory, each)
  local groups = by_segment(each, function(one)
    local i = directory.at_time(memory, one.timestamp)
    return directory.entry(memory, i).first > one.timestamp and i > 1 and i - 1 or i
  end)
  for _, group in ipairs(groups) do
    local e = directory.entry(memory, group.i)
    local there = segments.memories(memory, e)
    if there then
      for _, one in ipairs(group.each) do
        there[#there + 1] = one
      end
      table.sort(there, older)
      remake(memory, group.i, 1, there)
    else
      -- What that segment had is gone. It makes way where new memories come between the old.
      table.sort(group.each, older)
      local after = group.each[1].timestamp > e.last
      remake(memory, after and group.i + 1 or group.i, after and 0 or 1, group.each)
    end
  end
end

-- Puts memories of any order and kinds, as segments.memories gives them, at timestamps that are free.
function packed_writing.put(memory, each)
  table.sort(each, older)
  local size = directory.size(memory)
  local newest = size > 0 and directory.entry(memory, size).last or -1
  local between, after = {}, {}
  for _, one in ipairs(each) do
    local into = one.timestamp > newest and after or between
    into[#into + 1] = one
  end
  if #after > 0 then
    remake(memory, size + 1, 0, after)
  end
  insert(memory, between)
end

-- Drops the oldest `count` memories, whose columns are there; returns whether some have documents.
function packed_writing.drop_oldest(memory, count)
  local whole, documents_too = 0, false
  while count > 0 do
    local e = directory.entry(memory, whole + 1)
    documents_too = documents_too or e.documents
    if count < e.rows then
      e.rows, e.position = e.rows - count, e.position + count
      segments.skip(memory, e, count)
      directory.write(memory, whole + 1, e)
      count = 0
    else
      segments.remove(memory, e)
      whole, count = whole + 1, count - e.rows
    end
  end
  if whole > 0 then
    directory.splice(memory, 1, whole, {})
  end
  local e = directory.size(memory) > 0 and directory.entry(memory, 1)
  local each = e and e.skip > e.rows and segments.memories(memory, e)
  if each then
    remake(memory, 1, 1, each) -- more of its rows are dropped than are left
  end
  return documents_too
end

-- Calls change(memories, nil where they are gone; changes by timestamp) for each segment that has some of
-- `changes`, {timestamp, …}; the segment gets the memories that it returns, or stays as it is where that is
-- nil. Returns whether there may be documents: some of the segments have them, or what is in none was left by
-- one that is gone.
local function change_segments(memory, changes, change)
  local documents_too, locate = false, packed_pages.locator(memory)
  local groups = by_segment(changes, function(one)
    local i = locate(one.timestamp)
    documents_too = documents_too or not i
    return i
  end)
  for _, group in ipairs(groups) do
    local change_at = {}
    for _, one in ipairs(group.each) do
      change_at[one.timestamp] = one
    end
    local e = directory.entry(memory, group.i)
    local each = change(segments.memories(memory, e), change_at)
    documents_too = documents_too or e.documents
    if each then
      remake(memory, group.i, 1, each)
    end
  end
  return documents_too
end

-- Drops memories by their timestamps; returns whether some may have documents. Where columns of a segment are
-- gone all its memories are, and go.
function packed_writing.drop(memory, times)
  local dropped = {}
  for n, timestamp in ipairs(times) do
    dropped[n] = { timestamp = timestamp }
  end
  return change_segments(memory, dropped, function(each, dropped_at)
    local kept = {}
    for _, one in ipairs(each or {}) do
      if not dropped_at[one.timestamp] then
        kept[#kept + 1] = one
      end
    end
    return kept
  end)
end

-- Gives memories, by their timestamps, the codes of `coded`; those that are gone stay so.
function packed_writing.replace(memory, times, coded)
  local changes, width = {}, coded.width
  for n, timestamp in ipairs(times) do
    changes[n] = { timestamp = timestamp, codes = coded.codes:sub((n - 1) * width + 1, n * width) }
  end
  change_segments(memory, changes, function(each, change_at)
    for _, one in ipairs(each or {}) do
      local change = change_at[one.timestamp]
      if change then
        one.codes, one.header, one.width = change.codes, coded.header, width
      end
    end
    return each
  end)
end

-- The memories of segment `number` that the directory does not have, those but whose timestamps are taken;
-- nil where it has the segment.
local function strayed(memory, number)
  directory.read_all(memory)
  for i = 1, directory.size(memory) do
    if directory.entry(memory, i).number == number then
      return nil
    end
  end
  local e, each, locate = segments.recover(memory, number), {}, packed_pages.locator(memory)
  for _, one in ipairs(e and segments.memories(memory, e) or {}) do
    if not locate(one.timestamp) then
      each[#each + 1] = one
    end
  end
  return each
end

-- The timestamps that adopt would enter and, where these are none, the columns that it would remove.
function packed_writing.strays(memory, number)
  local times, each = {}, strayed(memory, number)
  for i, one in ipairs(each or {}) do
    times[i] = one.timestamp
  end
  return times, each and #each == 0 and segments.columns(memory, number) or {}
end

-- Enters the memories of segment `number`, which the directory does not have, and removes it; returns how
-- many they are. Those whose timestamps are taken are not entered.
function packed_writing.adopt(memory, number)
  local each = strayed(memory, number)
  if each then
    packed_writing.put(memory, each)
    segments.remove(memory, { number = number })
  end
  return each and #each or 0
end

return packed_writing
