-- A segment of a packed agent: up to ROWS memories, oldest first, in three strings, a column each.
--   agent:{ID}:segment:N           their codes, one after another
--   agent:{ID}:segment:N:rows      a head, then for each how long after the segment's base its timestamp is,
--                                  where its metadata end, and where memories expire, when it does
--   agent:{ID}:segment:N:metadata  their metadata, JSON texts one after another; only where there are some
-- The head of the rows says what the directory's entry does, for who has lost that. Rows are counted from 0,
-- those that were dropped at the beginning of a segment included. Any column may be gone where Redis evicts.
-- @include chunks
-- @include directory
local segments = {
  largest_span = 2 ^ 32 - 1, -- milliseconds from base to the newest memory
}

local ROWS = 1000 -- so that the values of all rows fit into one call of unpack()
local CODES_BYTES = 32000 -- with their headers just below a size that the allocator has
local HEAD = '<I4i8I4Bc3' -- how many rows are dropped, base, width, kind, header
local HEAD_BYTES = 20
local EXPIRING, DOCUMENTS = 1, 2 -- in the head
local LOOKS = 4 -- that find a row where memories come at about equal times; then what is left is halved

local function row_bytes(e)
  return e.expiring and 16 or 8
end

-- The names of the columns of segment `e`: codes, rows, metadata.
function segments.keys(memory, e)
  if not e.codes_key then
    local codes_key = memory.index:sub(1, -#'memories' - 1) .. 'segment:' .. string.format('%.0f', e.number)
    e.codes_key, e.rows_key, e.metadata_key = codes_key, codes_key .. ':rows', codes_key .. ':metadata'
  end
  return e.codes_key, e.rows_key, e.metadata_key
end

-- How many memories of `width` bytes of codes a segment holds.
function segments.capacity(width)
  return math.max(1, math.min(ROWS, math.floor(CODES_BYTES / width)))
end

function segments.live(e)
  return e.skip, e.skip + e.rows - 1
end

-- Rows first … last as they are stored, empty text where they are gone.
function segments.rows_text(memory, e, first, last)
  local _, key = segments.keys(memory, e)
  local width = e.expiring and 16 or 8
  return redis.call('GETRANGE', key, HEAD_BYTES + first * width, HEAD_BYTES + last * width + width - 1)
end

-- The values of such rows, as many together as `format` has for one.
local function unpacked(e, text, format)
  local count = #text / row_bytes(e)
  return { struct.unpack('<' .. string.rep(format, count), text) }, count
end

-- The timestamp, a number, of the row at `at`, counted from 0, of rows in `text`; nil where these are gone.
function segments.timestamp(e, text, at)
  return text ~= '' and e.base + struct.unpack('<I4', text, at * (e.expiring and 16 or 8) + 1) or nil
end

-- The timestamps of some rows, of rows in `text`, which are those from `first` on.
function segments.timestamps_at(e, text, rows, first)
  local times, take, width, base = {}, struct.unpack, row_bytes(e), e.base
  for i = 1, #rows do
    times[i] = base + take('<I4', text, (rows[i] - first) * width + 1)
  end
  return times
end

-- When that row expires.
function segments.expiry(_, text, at)
  return (struct.unpack('<i8', text, at * 16 + 9))
end

-- The timestamps, numbers, of rows in `text`.
function segments.timestamps(e, text)
  local values, count = unpacked(e, text, e.expiring and 'I4xxxxxxxxxxxx' or 'I4xxxx')
  local base = e.base
  for i = 1, count do
    values[i] = values[i] + base
  end
  values[count + 1] = nil
  return values
end

-- Where the metadata of rows in `text` end.
local function text_ends(e, text)
  return (unpacked(e, text, e.expiring and 'xxxxI4xxxxxxxx' or 'xxxxI4'))
end

-- When memories of rows in `text` expire.
local function expiries_of(e, text)
  return (unpacked(e, text, 'xxxxxxxxi8'))
end

-- When rows first … last expire; an empty list where they do not.
function segments.expiries(memory, e, first, last)
  return e.expiring and expiries_of(e, segments.rows_text(memory, e, first, last)) or {}
end

-- Whether each of rows in `text` has expired at `now`; nil where they do not expire.
function segments.expired(e, text, now)
  if not e.expiring then
    return nil
  end
  local values = expiries_of(e, text)
  for i = 1, #text / row_bytes(e) do
    values[i] = values[i] <= now
  end
  return values
end

-- The codes of rows first … last, empty text where they are gone.
function segments.codes(memory, e, first, last)
  return redis.call('GETRANGE', (segments.keys(memory, e)), first * e.width, (last + 1) * e.width - 1)
end

-- The metadata of rows first … last, or of those among them that `rows` lists, texts or false.
function segments.metadata(memory, e, first, last, rows)
  local texts, _, _, key = {}, segments.keys(memory, e)
  local from = math.max(0, first - 1) -- where a text begins, the one before ends
  local rows_text = e.text_bytes > 0 and segments.rows_text(memory, e, from, last) or ''
  local ends = rows_text ~= '' and text_ends(e, rows_text) or {}
  local start, stop = first > 0 and ends[1] or 0, ends[last - from + 1] or 0
  local all = stop > start and redis.call('GETRANGE', key, start, stop - 1) or ''
  for i = 1, rows and #rows or last - first + 1 do
    local row = rows and rows[i] or first + i - 1
    local before, after = row > 0 and ends[row - from] or 0, ends[row - from + 1] or 0
    texts[i] = after > before and after - start <= #all and all:sub(before - start + 1, after - start)
  end
  return texts
end

-- The row of segment `e`, among those that it has, with the first memory at `timestamp` or later; the row
-- after the last where there is none, nil where the rows are gone.
function segments.row_at_time(memory, e, timestamp)
  local _, key = segments.keys(memory, e)
  local low, high = segments.live(e)
  if timestamp <= e.first then
    return low
  elseif timestamp > e.last then
    return high + 1
  end
  -- The row is after `low`, up to `high`; where memories come at equal distances, it is where a line says.
  local width, wanted, looks = row_bytes(e), timestamp - e.base, 0
  local at_low, at_high = e.first - e.base, e.last - e.base
  while high - low > 1 do
    looks = looks + 1
    local share = looks > LOOKS and 0.5 or (wanted - at_low) / (at_high - at_low)
    local row = math.max(low + 1, math.min(low + math.floor(share * (high - low)), high - 1))
    local at = HEAD_BYTES + row * width
    local text = redis.call('GETRANGE', key, at, at + 3)
    if text == '' then
      return nil
    end
    local found = struct.unpack('<I4', text)
    if found >= wanted then
      high, at_high = row, found
    else
      low, at_low = row, found
    end
  end
  return high
end

-- The rows of memories first … last of a segment that has neither metadata nor expiries.
local function plain_rows(base, ids, first, last)
  local parts = {}
  chunks.each(first, last, function(from, to)
    local offsets, before = {}, from - 1
    for i = from, to do
      offsets[i - before] = ids[i] - base
    end
    parts[#parts + 1] = struct.pack('<' .. string.rep('I4xxxx', to - before), unpack(offsets))
  end)
  return table.concat(parts)
end

-- The rows of memories first … last of a batch as they are stored, their metadata as one text, and how long
-- the texts of the segment are with it.
local function rows_of(e, batch, first, last)
  local ids, metadata, expiry = batch.timestamps, batch.metadata, tonumber(batch.expiry or nil)
  if not e.expiring and e.text_bytes == 0 and (#metadata == 0 or e.documents) then
    return plain_rows(e.base, ids, first, last), '', 0
  end
  local base, text_bytes = e.base, e.text_bytes
  local has_metadata, parts, texts = #metadata > 0 and not e.documents, {}, {}
  chunks.each(first, last, function(from, to)
    local values, n = {}, 0
    for i = from, to do
      local text = has_metadata and metadata[i] or ''
      if text ~= '' then
        texts[#texts + 1] = text
        text_bytes = text_bytes + #text
      end
      values[n + 1], values[n + 2] = ids[i] - base, text_bytes
      n = n + 2
      if e.expiring then
        values[n + 1] = batch.expiries and batch.expiries[i] or expiry
        n = n + 1
      end
    end
    local format = '<' .. string.rep(e.expiring and 'I4I4i8' or 'I4I4', to - from + 1)
    parts[#parts + 1] = struct.pack(format, unpack(values, 1, n))
  end)
  return table.concat(parts), table.concat(texts), text_bytes
end

-- Lets Redis give back the room that it holds for columns to grow: a copy has none.
function segments.seal(memory, e)
  for _, key in ipairs(e.grown and { segments.keys(memory, e) } or {}) do
    if redis.call('COPY', key, key .. ':copy', 'REPLACE') == 1 then
      redis.call('RENAME', key .. ':copy', key)
    end
  end
  e.grown = false
end

-- Whether two are of one kind: an entry, a batch, or a memory as segments.memories gives it.
function segments.alike(a, b)
  return a.header == b.header and a.width == b.width
    and a.expiring == b.expiring and a.documents == b.documents
end

-- The entry of a new segment without memories, for some of a kind from the timestamp `base` on.
function segments.new(memory, kind, base)
  local number = directory.new_number(memory, function(number)
    return redis.call('EXISTS', segments.keys(memory, { number = number })) > 0
  end)
  return {
    number = number, header = kind.header, width = kind.width, expiring = kind.expiring,
    documents = kind.documents, grown = false, base = base, first = base, last = base, skip = 0, rows = 0,
    text_bytes = 0, expires = 0, position = 0,
  }
end

-- Whether all columns are there as the directory says.
local function is_whole(memory, e)
  local codes, rows, metadata = segments.keys(memory, e)
  local all_rows = e.skip + e.rows
  return redis.call('STRLEN', codes) == all_rows * e.width
    and redis.call('STRLEN', rows) == HEAD_BYTES + all_rows * row_bytes(e)
    and (e.text_bytes == 0 or redis.call('STRLEN', metadata) == e.text_bytes)
end

-- How many memories of a kind can go into segment `e`, the first at `timestamp`, newer than its own. One of
-- which a column is gone gets no more: they would be read as what they are not.
function segments.room(memory, e, kind, timestamp)
  local fits = segments.alike(e, kind) and timestamp - e.base <= segments.largest_span
  local room = fits and segments.capacity(e.width) - e.skip - e.rows or 0
  return room > 0 and is_whole(memory, e) and room or 0
end

-- Appends memories first … last of a batch to segment `e`, which is of its kind and whose memories are all
-- older. A batch is {header, width, expiring, documents, timestamps, codes one after another, metadata,
-- expiry of all or expiries of each}.
function segments.append(memory, e, batch, first, last)
  local codes_key, rows_key, metadata_key = segments.keys(memory, e)
  local codes, width = batch.codes, e.width
  if first > 1 or last * width < #codes then
    codes = codes:sub((first - 1) * width + 1, last * width)
  end
  local is_new = e.skip + e.rows == 0
  local rows, texts, text_bytes = rows_of(e, batch, first, last)
  if is_new then
    local kind = (e.expiring and EXPIRING or 0) + (e.documents and DOCUMENTS or 0)
    rows = struct.pack(HEAD, 0, e.base, e.width, kind, e.header) .. rows
    e.first = batch.timestamps[first]
  end
  redis.call('APPEND', codes_key, codes)
  redis.call('APPEND', rows_key, rows)
  if texts ~= '' then
    redis.call('APPEND', metadata_key, texts)
  end
  e.grown, e.text_bytes = e.grown or not is_new, text_bytes
  e.rows, e.last = e.rows + last - first + 1, batch.timestamps[last]
  local expires = 0
  for i = first, batch.expiries and last or 0 do
    expires = math.max(expires, batch.expiries[i])
  end
  expires = math.max(expires, tonumber(batch.expiry or 0))
  if expires > 0 then
    e.expires = math.max(e.expires, expires)
    local at = string.format('%.0f', e.expires)
    redis.call('PEXPIREAT', codes_key, at)
    redis.call('PEXPIREAT', metadata_key, at)
  end
end

-- Drops the oldest `count` rows of segment `e`, but for some: nothing moves, they are passed over.
function segments.skip(memory, e, count)
  local _, key = segments.keys(memory, e)
  e.skip = e.skip + count
  e.first = segments.timestamp(e, segments.rows_text(memory, e, e.skip, e.skip), 0)
  redis.call('SETRANGE', key, 0, struct.pack('<I4', e.skip))
end

-- All memories of segment `e`, oldest first: {timestamp, codes, metadata (text or false), expiry, header,
-- width, expiring, documents} each; nil where rows or codes are gone.
function segments.memories(memory, e)
  local first, last = segments.live(e)
  local text, codes = segments.rows_text(memory, e, first, last), segments.codes(memory, e, first, last)
  if text == '' or #codes ~= e.rows * e.width then
    return nil
  end
  local times, metadata = segments.timestamps(e, text), segments.metadata(memory, e, first, last)
  local expires, each = e.expiring and expiries_of(e, text) or {}, {}
  for i = 1, e.rows do
    each[i] = {
      timestamp = times[i], codes = codes:sub((i - 1) * e.width + 1, i * e.width), metadata = metadata[i],
      expiry = expires[i], header = e.header, width = e.width, expiring = e.expiring, documents = e.documents,
    }
  end
  return each
end

-- Memories first … last of a batch as such a list; `expiries` are those of each, false for never.
function segments.each_of(batch, expiries, first, last)
  local each, width = {}, batch.width
  for i = first, last do
    local text, expiry = batch.metadata[i], batch.expiry
    if expiries then
      expiry = tonumber(expiries[i] or nil)
    end
    each[#each + 1] = {
      timestamp = batch.timestamps[i], codes = batch.codes:sub((i - 1) * width + 1, i * width),
      metadata = text and text ~= '' and text, expiry = expiry, header = batch.header, width = width,
      expiring = expiry ~= nil, documents = batch.documents,
    }
  end
  return each
end

-- Makes a segment of memories first … last of such a list, which are of one kind; returns its entry.
function segments.make(memory, each, first, last)
  local kind, codes, batch = each[first], {}, { timestamps = {}, metadata = {} }
  batch.expiries = kind.expiring and {} or nil
  for i = first, last do
    local n = i - first + 1
    local one = each[i]
    batch.timestamps[n], codes[n], batch.metadata[n] = one.timestamp, one.codes, one.metadata or ''
    if batch.expiries then
      batch.expiries[n] = one.expiry
    end
  end
  batch.codes = table.concat(codes)
  local e = segments.new(memory, kind, batch.timestamps[1])
  segments.append(memory, e, batch, 1, last - first + 1)
  return e
end

-- The entry of segment `number` as its columns say, for who has lost it; nil where they say none.
function segments.recover(memory, number)
  local codes_key, rows_key = segments.keys(memory, { number = number })
  local head = redis.call('GETRANGE', rows_key, 0, HEAD_BYTES - 1)
  if #head < HEAD_BYTES then
    return nil
  end
  local skip, base, width, kind, header = struct.unpack(HEAD, head)
  local e = { number = number, skip = skip, base = base, width = width, header = header }
  e.expiring, e.documents = bit.band(kind, EXPIRING) > 0, bit.band(kind, DOCUMENTS) > 0
  local rows = (redis.call('STRLEN', rows_key) - HEAD_BYTES) / row_bytes(e)
  if rows <= skip or rows % 1 ~= 0 or width < 1 or redis.call('STRLEN', codes_key) ~= rows * width then
    return nil
  end
  e.rows, e.text_bytes = rows - skip, text_ends(e, segments.rows_text(memory, e, rows - 1, rows - 1))[1]
  return e
end

-- The names of the columns that there are of segment `number`.
function segments.columns(memory, number)
  local names = {}
  for _, key in ipairs({ segments.keys(memory, { number = number }) }) do
    if redis.call('EXISTS', key) == 1 then
      names[#names + 1] = key
    end
  end
  return names
end

-- Removes the columns.
function segments.remove(memory, e)
  redis.call('UNLINK', segments.keys(memory, e))
end

return segments
