-- The layout "packed": an agent's memories in segments of up to a thousand, a column for codes, one for
-- timestamps, one for metadata (segments.lua), found by the directory (directory.lua). It is for logs of many
-- memories that are stored in the order of their timestamps: those are appended, and what is read in a row is
-- one piece. What comes between older ones, is deleted from between, or re-encoded has its segment made anew.
--
-- Methods and contracts are those of layout_keys.lua. What Redis has evicted of a segment is gone; where that
-- is the column of timestamps, the segment counts as one memory, at its first timestamp, until it is dropped.
-- @include errors
-- @include timestamps
-- @include documents
-- @include directory
-- @include segments
-- @include packed_pages
-- @include packed_reading
-- @include packed_writing
local layout_packed = {}

local function to_numbers(ids)
  local numbers = {}
  for i = 1, #ids do
    numbers[i] = tonumber(ids[i])
  end
  return numbers
end

function layout_packed:count()
  return directory.count(self)
end

function layout_packed:newest(skip, limit, oldest_first)
  local last = directory.count(self) - 1 - skip
  local first = math.max(0, last - limit + 1)
  return packed_pages.range(first, last, limit, not oldest_first)
end

function layout_packed:oldest(limit)
  return packed_pages.range(0, directory.count(self) - 1, limit)
end

function layout_packed:following(id, limit)
  local first = id and packed_pages.rank_of(self, id + 1) or 0
  return packed_pages.range(first, directory.count(self) - 1, limit)
end

function layout_packed:preceding(id, limit)
  return packed_pages.range(0, packed_pages.rank_of(self, tonumber(id)) - 1, limit)
end

function layout_packed:count_preceding(id)
  return packed_pages.rank_of(self, tonumber(id))
end

function layout_packed:between(first, last, limit, newest_first)
  local from, after = packed_pages.rank_of(self, tonumber(first)), packed_pages.rank_of(self, last + 1)
  return packed_pages.range(from, after - 1, limit, newest_first)
end

function layout_packed:count_between(first, last)
  return math.max(0, packed_pages.rank_of(self, last + 1) - packed_pages.rank_of(self, tonumber(first)))
end

function layout_packed:at_ranks(wanted)
  return packed_pages.at_ranks(self, wanted)
end

function layout_packed:from_rank(first, limit)
  return packed_pages.range(first, directory.count(self) - 1, limit)
end

function layout_packed:size(page)
  return page.size
end

function layout_packed:at(ids)
  return packed_pages.at(self, ids)
end

function layout_packed:ids(page)
  return timestamps.texts((packed_reading.timestamps(self, page)))
end

-- That of a segment whose timestamps are gone is its last, so that what goes on from there comes past it.
function layout_packed:last(page)
  if page.groups then
    local ids = self:ids(page)
    return ids[#ids]
  end
  return page.size > 0 and timestamps.texts({ packed_reading.timestamp_at(self, page.last) })[1] or nil
end

function layout_packed:read(page)
  return packed_reading.read(self, page)
end

function layout_packed:values(page)
  return packed_reading.values(self, page)
end

function layout_packed:metadata(page)
  return packed_reading.metadata(self, page)
end

function layout_packed:expiries(page)
  return packed_reading.expiries(self, page)
end

function layout_packed:without_value(page)
  local _, gone = self:read(page)
  return timestamps.texts(gone)
end

function layout_packed:indexed(ids)
  local known, others, locate = {}, {}, packed_pages.locator(self)
  for _, id in ipairs(ids) do
    local i = locate(tonumber(id))
    local into = i and known or others
    into[#into + 1] = id
  end
  return known, others
end

function layout_packed:must_be_new(ids)
  local seen, newest, locate = {}, -1, packed_pages.locator(self)
  if directory.size(self) > 0 then
    newest = directory.entry(self, directory.size(self)).last
  end
  for _, id in ipairs(ids) do
    if seen[id] then
      errors.refuse('EXISTS', 'timestamp ' .. id .. ' is given twice')
    end
    seen[id] = true
    if tonumber(id) <= newest and locate(tonumber(id)) then
      errors.refuse('EXISTS', string.format('agent %s already has a memory at %s', self.agent, id))
    end
  end
end

-- Refuses what RedisJSON does not take, so that metadata can be moved to documents.
local function must_fit_documents(value, depth)
  if value == math.huge or value == -math.huge then
    error('number out of range', 0)
  elseif type(value) == 'table' then
    if depth > 126 then
      error('nested more than 126 deep', 0)
    end
    for _, one in pairs(value) do
      must_fit_documents(one, depth + 1)
    end
  end
end

-- Refuses metadata that could not be read again; they are written with their memories. Those that are to be
-- documents of their own are written here.
function layout_packed:describe(plan)
  if plan.documents then
    return documents.write(self, plan.ids, plan.metadata)
  end
  local ok, problem = pcall(function()
    local decode, find = cjson.decode, string.find
    for _, text in ipairs(plan.metadata) do
      local value = text ~= '' and decode(text)
      if text ~= '' and not (value and find(text, '^%s*{')) then
        error(text:sub(1, 100), 0)
      elseif #text > 252 or find(text, '%d[eE]') then
        must_fit_documents(value, 1)
      end
    end
  end)
  if not ok then
    errors.refuse('BADMETA', 'metadata is no JSON object that can be kept: ' .. tostring(problem))
  end
end

function layout_packed:undescribe(plan)
  if plan.documents then
    documents.remove(self, plan.ids)
  end
end

-- Whether timestamps increase and the first is above all that there are.
local function is_newest(memory, times, first, last)
  local size = directory.size(memory)
  local newest = size > 0 and directory.entry(memory, size).last or -1
  for i = first, last do
    if times[i] <= newest then
      return false
    end
    newest = times[i]
  end
  return true
end

function layout_packed:put(plan, first, last)
  local coded = plan.coded
  local batch = {
    header = coded.header, width = coded.width, expiring = tonumber(plan.expiry or nil) ~= nil,
    documents = plan.documents == true, timestamps = plan.numbers, metadata = plan.metadata,
    codes = coded.codes,
    expiry = tonumber(plan.expiry or nil),
  }
  batch.timestamps = batch.timestamps or to_numbers(plan.ids)
  if not plan.expiries and (plan.newest_last or is_newest(self, batch.timestamps, first, last)) then
    packed_writing.append(self, batch, first, last)
  else
    packed_writing.put(self, segments.each_of(batch, plan.expiries, first, last))
  end
  if batch.documents and batch.expiry and #plan.metadata > 0 then
    documents.expire(self, plan.ids, first, last, plan.expiry)
  end
end

function layout_packed:drop(ids)
  local times, lost = packed_reading.timestamps(self, self:oldest(#ids))
  local numbers, are_oldest = to_numbers(ids), #times == #ids and not lost
  for i = 1, #times do
    are_oldest = are_oldest and times[i] == numbers[i]
  end
  local before = directory.count(self)
  local drop, what = packed_writing.drop, numbers
  if are_oldest then
    drop, what = packed_writing.drop_oldest, #ids
  end
  if drop(self, what) then
    documents.remove(self, ids)
  end
  return before - directory.count(self)
end

function layout_packed:replace(ids, coded)
  packed_writing.replace(self, to_numbers(ids), coded)
end

-- Nothing is found by its timestamp alone that the directory does not have: see adopt.
function layout_packed:enter()
end

-- The timestamps of memories of segment `number` that adopt would enter; or, where it would enter none, the
-- names of the columns that it would remove.
function layout_packed:strays(number)
  return packed_writing.strays(self, number)
end

-- Enters the memories of a segment that the directory does not have, as is left where Redis has evicted that;
-- returns how many were entered.
function layout_packed:adopt(number)
  return packed_writing.adopt(self, number)
end

function layout_packed:usage(page)
  local values, metadata, has_documents = 0, 0, false
  local function add(e, count)
    local codes_key, rows_key, metadata_key = segments.keys(self, e)
    local function share(key)
      return (redis.call('MEMORY', 'USAGE', key) or 0) * count / e.rows
    end
    values = values + share(codes_key) + share(rows_key)
    metadata = metadata + share(metadata_key)
    has_documents = has_documents or e.documents
  end

  for _, group in ipairs(page.groups or {}) do
    add(group.entry, group.count)
  end
  if not page.groups then
    packed_pages.each_piece(self, page, function(e, from, to) add(e, math.abs(to - from) + 1) end)
  end
  if has_documents then
    metadata = metadata + documents.usage(self, self:ids(page))
  end
  return math.floor(values + 0.5), math.floor(metadata + 0.5)
end

return layout_packed
