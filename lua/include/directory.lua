-- The directory of a packed agent, its index: the string agent:{ID}:memories, a head and an entry for each
-- segment in the order of their timestamps. An entry is {
--   number      names the segment's keys,
--   header, width   the memories' own header, and how many bytes of codes each has: all of a segment alike,
--   expiring    whether its memories expire, each at its own time,
--   documents   whether their metadata are documents of their own, not a column,
--   grown       whether it was appended to, so that Redis holds room for more,
--   base        the timestamp from which those of the rows count,
--   first, last timestamps of its oldest and its newest memory,
--   skip        rows at its beginning that were dropped,
--   rows        memories that it has, after those,
--   text_bytes  how long its metadata texts are together,
--   expires     when the last of its memories expires, 0 for never,
--   position    memories before it, counted from some origin: so a rank leads to its segment,
-- }. It is read as a whole where it is small, otherwise entry by entry: an append reads its two ends. What is
-- read is kept in the handle, `memory`, for the call.
-- @include errors
local directory = {}

local HEAD_BYTES, ENTRY_BYTES = 8, 64
local HEAD = '<I4I4' -- format of the directory, the number of the next segment
local ENTRY = '<i8i8i8i8i8I4I4I4I4I4Bc3'
local FORMAT = 1
local SMALL_BYTES = HEAD_BYTES + 16 * ENTRY_BYTES
local LOOKS = 4
local EXPIRING, GROWN, DOCUMENTS = 1, 2, 4

local function unpack_entry(text, at)
  local base, first, last, position, expires, number, skip, rows, text_bytes, width, kind, header =
    struct.unpack(ENTRY, text, at)
  return {
    base = base, first = first, last = last, position = position, expires = expires, number = number,
    skip = skip, rows = rows, text_bytes = text_bytes, width = width, header = header,
    expiring = bit.band(kind, EXPIRING) > 0, grown = bit.band(kind, GROWN) > 0,
    documents = bit.band(kind, DOCUMENTS) > 0,
  }
end

local function pack_entry(e)
  local kind = (e.expiring and EXPIRING or 0) + (e.grown and GROWN or 0) + (e.documents and DOCUMENTS or 0)
  return struct.pack(ENTRY, e.base, e.first, e.last, e.position, e.expires, e.number, e.skip, e.rows,
    e.text_bytes, e.width, kind, e.header)
end

local function read_all(memory)
  memory.text = memory.text or redis.call('GET', memory.key) or ''
end

-- How many segments there are.
function directory.size(memory)
  if not memory.segments then
    local text = redis.call('GETRANGE', memory.key, 0, SMALL_BYTES)
    local bytes = #text
    if bytes > SMALL_BYTES then
      bytes = redis.call('STRLEN', memory.key)
    else
      memory.text = text
    end
    local is_whole = bytes >= HEAD_BYTES and (bytes - HEAD_BYTES) % ENTRY_BYTES == 0
    if bytes > 0 and not (is_whole and struct.unpack(HEAD, text) == FORMAT) then
      local refusal = 'key %s holds a value of type string that is no directory of segments'
      errors.refuse('WRONGTYPE', refusal:format(memory.key))
    end
    memory.segments, memory.entries = math.max(0, (bytes - HEAD_BYTES) / ENTRY_BYTES), {}
  end
  return memory.segments
end

-- Reads the whole directory, for who will want many of its entries.
function directory.read_all(memory)
  if directory.size(memory) > 0 then
    read_all(memory)
  end
end

-- The entry of segment `i`, from 1 to size.
function directory.entry(memory, i)
  directory.size(memory)
  local e = memory.entries[i]
  if not e then
    local at = HEAD_BYTES + (i - 1) * ENTRY_BYTES
    if memory.text then
      e = unpack_entry(memory.text, at + 1)
    else
      e = unpack_entry(redis.call('GETRANGE', memory.key, at, at + ENTRY_BYTES - 1), 1)
    end
    memory.entries[i] = e
  end
  return e
end

-- How many memories there are.
function directory.count(memory)
  local size = directory.size(memory)
  if size == 0 then
    return 0
  end
  local first, last = directory.entry(memory, 1), directory.entry(memory, size)
  return last.position + last.rows - first.position
end

-- The first segment that has a memory at `timestamp` or later, size + 1 where there is none.
function directory.at_time(memory, timestamp)
  local low, high = 1, directory.size(memory) + 1
  while low < high do
    local sum = low + high
    local middle = (sum - sum % 2) / 2
    local e = memory.entries[middle] or directory.entry(memory, middle)
    if e.last >= timestamp then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

-- The segment that has the memory of that rank, counted from 0, the oldest. Most segments are full, so it is
-- about where it would be if all had as many; what is left after some looks is halved.
function directory.at_rank(memory, rank)
  local size = directory.size(memory)
  local oldest, newest = directory.entry(memory, 1), directory.entry(memory, size)
  local position = oldest.position + rank
  local share = (newest.position + newest.rows - oldest.position) / size
  local low, high, looks = 1, size, 0
  local i = math.floor(rank / share) + 1
  while low < high do
    looks = looks + 1
    i = looks > LOOKS and math.floor((low + high) / 2) or math.max(low, math.min(i, high))
    local e = memory.entries[i] or directory.entry(memory, i)
    local beyond = position - e.position
    if beyond < 0 then
      high, i = i - 1, i - math.ceil(-beyond / share)
    elseif beyond >= e.rows then
      low, i = i + 1, i + 1 + math.floor((beyond - e.rows) / share)
    else
      return i
    end
  end
  return low
end

-- Writes the entry of segment `i` as it is now, that of a new last one too.
function directory.write(memory, i, e)
  if i > directory.size(memory) then
    memory.segments = i
  end
  memory.entries[i], memory.text = e, nil
  redis.call('SETRANGE', memory.key, HEAD_BYTES + (i - 1) * ENTRY_BYTES, pack_entry(e))
end

-- A number that no segment of the agent has, nor the remains of one whose directory Redis has evicted:
-- is_taken(number) says so. What was given out is noted.
function directory.new_number(memory, is_taken)
  local number = 1
  if directory.size(memory) > 0 then
    local _, following = struct.unpack(HEAD, redis.call('GETRANGE', memory.key, 0, HEAD_BYTES - 1))
    number = following
  end
  while is_taken(number) do
    number = number + 1
  end
  memory.text = nil
  redis.call('SETRANGE', memory.key, 0, struct.pack(HEAD, FORMAT, number + 1))
  return number
end

-- Puts entries in the place of those of `removed` segments from `i` on. Their positions follow from those
-- before them, and those of all after them are moved.
function directory.splice(memory, i, removed, entries)
  local size = directory.size(memory)
  read_all(memory)
  local before = i > 1 and directory.entry(memory, i - 1)
  local position = before and before.position + before.rows
    or (size > 0 and directory.entry(memory, 1).position or 0)
  local after = i + removed <= size and directory.entry(memory, i + removed)
  local parts = { memory.text:sub(1, HEAD_BYTES + (i - 1) * ENTRY_BYTES) }
  for _, e in ipairs(entries) do
    e.position = position
    position = position + e.rows
    parts[#parts + 1] = pack_entry(e)
  end
  if i == 1 and #entries == 0 or not after or after.position == position then
    parts[#parts + 1] = memory.text:sub(HEAD_BYTES + (i + removed - 1) * ENTRY_BYTES + 1)
  else
    local moved = position - after.position
    for n = i + removed, size do
      local e = directory.entry(memory, n)
      e.position = e.position + moved
      parts[#parts + 1] = pack_entry(e)
    end
  end
  local text = table.concat(parts)
  memory.segments, memory.entries, memory.text = size - removed + #entries, {}, text
  if memory.segments == 0 then
    redis.call('UNLINK', memory.key)
  else
    redis.call('SET', memory.key, text)
  end
end

return directory
