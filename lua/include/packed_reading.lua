-- Reads memories of a packed agent. A range of ranks is read in pieces, one of each segment, and no work is
-- done for each memory but for its timestamp; scattered ones are read row by row, or where many of a segment
-- are wanted, from the whole of it.
-- @include timestamps
-- @include documents when used
-- @include segments when used
-- @include packed_pages when used
local packed_reading = {}

local WORTH_ALL = 32 -- rows of one segment that are wanted: from there on it is faster to read it as a whole

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
      columns.codes[n] = there and piece.codes:sub((i - 1) * width + 1, i * width)
    end
  end
  return columns
end

-- The same of scattered memories.
local function read_scattered(memory, at)
  local columns, wanted = { entries = {}, times = {}, codes = {} }, {}
  local times, codes = columns.times, columns.codes
  for n = 1, #at do
    local e = at[n].entry
    if e then
      local places = wanted[e] or {}
      places[#places + 1], wanted[e] = n, places
      columns.entries[n] = e
    else
      times[n], codes[n] = at[n].missing, false
    end
  end
  for e, places in pairs(wanted) do
    local first, last = segments.live(e)
    local all_times, all_codes, all_expired, one_by_one = nil, nil, nil, #places < WORTH_ALL
    if not one_by_one then
      all_times, all_codes, all_expired = read_rows(memory, e, first, last)
    end
    for _, n in ipairs(places) do
      local row = at[n].row
      if one_by_one then
        first, all_times, all_codes, all_expired = row, read_rows(memory, e, row, row)
      end
      local i = row - first
      local there = all_times and all_codes and not (all_expired and all_expired[i + 1])
      times[n] = all_times and all_times[i + 1] or e.first
      codes[n] = there and all_codes:sub(i * e.width + 1, (i + 1) * e.width)
    end
  end
  return columns
end

local function read_columns(memory, page)
  return page.at and read_scattered(memory, page.at) or columns_of_pieces((read_pieces(memory, page)))
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
    run.codes = table.concat(run.codes)
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

-- What is found of a page and what is gone, as layouts say it.
function packed_reading.read(memory, page)
  local columns
  if page.at then
    columns = read_scattered(memory, page.at)
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

  for _, place in ipairs(page.at or {}) do
    if place.missing then
      times[#times + 1] = place.missing
    else
      add(place.entry, place.row, place.row)
    end
  end
  if not page.at then
    packed_pages.each_piece(memory, page, add)
  end
  return times, lost
end

-- The metadata of rows first … last, JSON texts, false where there are none.
local function metadata_of_rows(memory, e, first, last)
  if not e.documents then
    return segments.metadata(memory, e, first, last)
  end
  local text = segments.rows_text(memory, e, first, last)
  return text ~= '' and documents.read(memory, timestamps.texts(segments.timestamps(e, text))) or {}
end

-- What read(memory, entry, first row, last row) gives for each memory of a page, false where that is nothing.
local function each_of(memory, page, read)
  local all = {}
  for n, place in ipairs(page.at or {}) do
    all[n] = place.entry and read(memory, place.entry, place.row, place.row)[1] or false
  end
  if not page.at then
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
  return each_of(memory, page, metadata_of_rows)
end

-- When the memories of a page expire, numbers, false for never.
function packed_reading.expiries(memory, page)
  return each_of(memory, page, segments.expiries)
end

return packed_reading
