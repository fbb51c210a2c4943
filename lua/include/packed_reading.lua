-- Reads memories of a packed agent. A range of ranks is read in pieces, one of each segment, and no work is
-- done for each memory but for its timestamp; scattered ones are read row by row, or where many of a segment
-- are wanted, from the whole of it.
-- @include timestamps
-- @include documents
-- @include directory
-- @include segments
-- @include packed_pages
local packed_reading = {}

local WORTH_ROWS = 8 -- memories of one segment from which on it is faster to read all its timestamps
local WORTH_TEXTS = 16 -- the same of its metadata
local LOOK_BYTES = 1000 -- of codes, which take as long to read as a look at one memory

local function reverse(values, first, last)
  while first < last do
    values[first], values[last] = values[last], values[first]
    first, last = first + 1, last - 1
  end
end

-- The codes of `count` memories, one after another, in the opposite order.
local function reversed_codes(codes, width, count)
  local each, at = {}, #codes - width
  for i = 1, count do
    each[i] = codes:sub(at + 1, at + width)
    at = at - width
  end
  return table.concat(each)
end

-- Timestamps of rows first … last, nil where they are gone; their codes one after another, nil where these
-- are gone; which of them have expired, nil where none can.
local function read_rows(memory, e, first, last)
  local text = segments.rows_text(memory, e, first, last)
  if text == '' then
    return nil, nil, nil
  end
  local codes = segments.codes(memory, e, first, last)
  local expired = e.expiring and segments.expired(e, text, timestamps.now()) or nil
  return segments.timestamps(e, text), #codes == (last - first + 1) * e.width and codes or nil, expired
end

-- The pieces of a range of ranks, in its order: {entry, count, and as read_rows times, codes, expired}; and
-- whether all memories are there.
local function read_pieces(memory, page)
  local pieces, whole = {}, true
  packed_pages.each_piece(memory, page, function(e, from, to)
    local count = math.abs(to - from) + 1
    local times, codes, expired = read_rows(memory, e, math.min(from, to), math.max(from, to))
    if from > to then
      reverse(times or {}, 1, count)
      reverse(expired or {}, 1, count)
      codes = codes and reversed_codes(codes, e.width, count)
    end
    pieces[#pieces + 1] = { entry = e, count = count, times = times, codes = codes, expired = expired }
    whole = whole and codes ~= nil and not expired
  end)
  return pieces, whole
end

-- The columns of memories: entry of the segment; timestamp, the segment's first where it is gone; codes,
-- false where the memory is gone.
local function columns_of_pieces(pieces)
  local columns, n = { entries = {}, times = {}, codes = {} }, 0
  for _, piece in ipairs(pieces) do
    local e, width = piece.entry, piece.entry.width
    for i = 1, piece.count do
      local there = piece.times and piece.codes and not (piece.expired and piece.expired[i])
      n = n + 1
      columns.entries[n], columns.times[n] = e, piece.times and piece.times[i] or e.first
      columns.codes[n] = there and piece.codes:sub((i - 1) * width + 1, i * width) or false
    end
  end
  return columns
end

-- The same of a group of scattered memories; returns whether none of them is gone.
local function read_group(memory, group, columns)
  local e, places, rows = group.entry, group.places, group.rows
  local entries, times, codes, width = columns.entries, columns.times, columns.codes, e.width
  local first, last = segments.live(e)
  local sub = string.sub
  local whole_rows = group.count >= WORTH_ROWS and segments.rows_text(memory, e, first, last)
  local is_worth = group.count * LOOK_BYTES >= e.rows * width
  local whole_codes = is_worth and segments.codes(memory, e, first, last)
  if whole_rows and whole_rows ~= '' and whole_codes and #whole_codes == e.rows * width
    and not e.expiring then
    local own = segments.timestamps_at(e, whole_rows, rows, first)
    for i = 1, group.count do
      local n, at = places[i], (rows[i] - first) * width
      entries[n], times[n], codes[n] = e, own[i], sub(whole_codes, at + 1, at + width)
    end
    return true
  end
  local all_there, now = true, e.expiring and timestamps.now()
  for i = 1, group.count do
    local n, row = places[i], rows[i]
    local text, at = whole_rows, row - first
    if not text then
      text, at = segments.rows_text(memory, e, row, row), 0
    end
    local code = whole_codes and sub(whole_codes, (row - first) * width + 1, (row - first + 1) * width)
      or segments.codes(memory, e, row, row)
    local time = segments.timestamp(e, text, at)
    local there = time and #code == width and not (now and segments.expiry(e, text, at) <= now)
    entries[n], times[n], codes[n] = e, time or e.first, there and code or false
    all_there = all_there and there
  end
  return all_there
end

-- The same of scattered memories, and whether none of them is gone.
local function read_scattered(memory, page)
  local columns = { entries = {}, times = {}, codes = {} }
  local all_there = next(page.missing) == nil
  for _, group in ipairs(page.groups) do
    all_there = read_group(memory, group, columns) and all_there
  end
  for n, timestamp in pairs(page.missing) do
    columns.times[n], columns.codes[n] = timestamp, false
  end
  return columns, all_there
end

local function read_columns(memory, page)
  if page.groups then
    return (read_scattered(memory, page))
  end
  return columns_of_pieces((read_pieces(memory, page)))
end

-- Begins or goes on with a run of memories of one header and width; its codes are joined by join().
local function add_to_runs(runs, e, codes, count)
  local run = runs[#runs]
  if not run or run.header ~= e.header or run.size ~= e.width then
    run = { header = e.header, size = e.width, count = 0, codes = {} }
    runs[#runs + 1] = run
  end
  run.count = run.count + count
  run.codes[#run.codes + 1] = codes
end

local function join(runs)
  for _, run in ipairs(runs) do
    -- A text that is made a second time is hashed a second time, byte by byte.
    run.codes = #run.codes == 1 and run.codes[1] or table.concat(run.codes)
  end
  return runs
end

local function found_in_pieces(pieces, page)
  local ids, runs, n = {}, {}, 0
  for _, piece in ipairs(pieces) do
    local times = piece.times
    for i = 1, piece.count do
      ids[n + i] = times[i]
    end
    n = n + piece.count
    add_to_runs(runs, piece.entry, piece.codes, piece.count)
  end
  return { ids = ids, page = page, runs = join(runs) }
end

-- Whether all memories of a page that has some are of one header and width.
local function are_alike(page)
  local first = page.groups[1]
  for _, group in ipairs(page.groups) do
    local e = group.entry
    if e.header ~= first.entry.header or e.width ~= first.entry.width then
      return false
    end
  end
  return first ~= nil
end

-- What is found of a page and what is gone, as layouts say it.
function packed_reading.read(memory, page)
  local columns
  if page.groups then
    local all_there
    columns, all_there = read_scattered(memory, page)
    if all_there and are_alike(page) then
      local e, codes = page.groups[1].entry, table.concat(columns.codes)
      local run = { header = e.header, size = e.width, count = page.size, codes = codes }
      return { ids = columns.times, page = page, runs = { run } }, {}
    end
  else
    local pieces, whole = read_pieces(memory, page)
    if whole then
      return found_in_pieces(pieces, page), {}
    end
    columns = columns_of_pieces(pieces)
  end
  local ids, runs, gone, last_gone = {}, {}, {}, nil
  for n, codes in ipairs(columns.codes) do
    local id = columns.times[n]
    if codes then
      ids[#ids + 1] = id
      add_to_runs(runs, columns.entries[n], codes, 1)
    elseif id ~= last_gone then
      gone[#gone + 1], last_gone = id, id
    end
  end
  return { ids = ids, page = #gone == 0 and page or packed_pages.at(memory, ids), runs = join(runs) }, gone
end

-- The values of a page, header and codes, false where they are gone.
function packed_reading.values(memory, page)
  local columns = read_columns(memory, page)
  local values = columns.codes
  for n = 1, #values do
    values[n] = values[n] and columns.entries[n].header .. values[n]
  end
  return values
end

-- The timestamps of a page, and whether those of some are gone; a segment without any has one, of itself.
function packed_reading.timestamps(memory, page)
  local times, lost = {}, false
  local function add(e, from, to)
    local text = segments.rows_text(memory, e, math.min(from, to), math.max(from, to))
    local some = text == '' and { e.first } or segments.timestamps(e, text)
    lost = lost or text == ''
    if from > to then
      reverse(some, 1, #some)
    end
    for i = 1, #some do
      times[#times + 1] = some[i]
    end
  end

  if page.groups then
    return (read_scattered(memory, page)).times, false
  end
  packed_pages.each_piece(memory, page, add)
  return times, lost
end

-- The timestamp of the memory of that rank; the segment's last where it is gone.
function packed_reading.timestamp_at(memory, rank)
  local e = directory.entry(memory, directory.at_rank(memory, rank))
  local row = e.skip + rank - (e.position - directory.entry(memory, 1).position)
  local oldest, newest = segments.live(e)
  if row == oldest or row == newest then
    return row == oldest and e.first or e.last
  end
  return segments.timestamp(e, segments.rows_text(memory, e, row, row), 0) or e.last
end

-- The metadata of rows first … last, JSON texts, false where there are none.
local function metadata_of_rows(memory, e, first, last)
  if not e.documents then
    return segments.metadata(memory, e, first, last)
  end
  local text = segments.rows_text(memory, e, first, last)
  return text ~= '' and documents.read(memory, timestamps.texts(segments.timestamps(e, text))) or {}
end

-- The metadata of some rows, nil where they are better read one by one.
local function metadata_at(memory, e, rows)
  if e.documents then
    return nil
  end
  local first, last = segments.live(e)
  return segments.metadata(memory, e, first, last, rows)
end

local function expiries_at(memory, e, rows)
  local first, last = segments.live(e)
  local all, some = segments.expiries(memory, e, first, last), {}
  for i, row in ipairs(rows) do
    some[i] = all[row - first + 1]
  end
  return some
end

-- What read(memory, entry, first row, last row) gives for each memory of a page, false where that is nothing;
-- read_many(memory, entry, rows) gives it for many scattered rows of a segment.
local function each_of(memory, page, read, read_many)
  local all = {}
  for _, group in ipairs(page.groups or {}) do
    local e, rows, places = group.entry, group.rows, group.places
    local some = group.count >= WORTH_TEXTS and read_many(memory, e, rows)
    for i = 1, group.count do
      local one
      if some then
        one = some[i]
      else
        one = read(memory, e, rows[i], rows[i])[1]
      end
      all[places[i]] = one or false
    end
  end
  for n in pairs(page.missing or {}) do
    all[n] = false
  end
  if not page.groups then
    packed_pages.each_piece(memory, page, function(e, from, to)
      local some, count = read(memory, e, math.min(from, to), math.max(from, to)), #all
      for i = 1, math.abs(to - from) + 1 do
        all[count + i] = some[i] or false
      end
      if from > to then
        reverse(all, count + 1, #all)
      end
    end)
  end
  return all
end

-- The metadata of a page, JSON texts, false where there are none.
function packed_reading.metadata(memory, page)
  return each_of(memory, page, metadata_of_rows, metadata_at)
end

-- When the memories of a page expire, numbers, false for never.
function packed_reading.expiries(memory, page)
  return each_of(memory, page, segments.expiries, expiries_at)
end

return packed_reading
