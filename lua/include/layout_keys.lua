-- The layout "keys": every memory a key of its own. Only these methods touch memories, their metadata
-- documents and the index; another layout is another file with the same methods, and layout.lua picks. The
-- keys derive from that of the index: agent:{ID}:memories, agent:{ID}:memory:TS, agent:{ID}:memory:TS:meta.
--
-- A page is a choice of memories in an order, and only a layout looks inside: here it is the list of their
-- ids. Ids are decimal texts.
-- @include errors
-- @include chunks
-- @include codec
-- @include documents
-- @include ranks
-- @include segments
local layout_keys = {}

local function key_prefix(index)
  return index:sub(1, -#'ies' - 1) .. 'y:'
end

local function keys_of(index, ids, from, to, suffix)
  local prefix, keys, before = key_prefix(index), {}, from - 1
  for i = from, to do
    keys[i - before] = prefix .. ids[i] .. suffix
  end
  return keys
end

function layout_keys:count()
  return redis.call('ZCARD', self.key)
end

-- A page of the `limit` newest memories, after leaving out `skip` of them: newest first, or oldest first.
function layout_keys:newest(skip, limit, oldest_first)
  if oldest_first then
    return redis.call('ZRANGE', self.key, -skip - limit, -skip - 1)
  end
  return redis.call('ZRANGE', self.key, skip, skip + limit - 1, 'REV')
end

-- A page of `limit` memories from the oldest.
function layout_keys:oldest(limit)
  return redis.call('ZRANGE', self.key, 0, limit - 1)
end

-- A page of the first `limit` memories after `id`, oldest first; the very first where `id` is nil.
function layout_keys:following(id, limit)
  local from = id and '(' .. id or '-inf'
  return redis.call('ZRANGE', self.key, from, '+inf', 'BYSCORE', 'LIMIT', 0, limit)
end

-- A page of `limit` memories before `id`, oldest first.
function layout_keys:preceding(id, limit)
  return redis.call('ZRANGE', self.key, '-inf', '(' .. id, 'BYSCORE', 'LIMIT', 0, limit)
end

-- How many memories there are before `id`.
function layout_keys:count_preceding(id)
  return redis.call('ZCOUNT', self.key, '-inf', '(' .. id)
end

-- A page of the first `limit` memories from `first` to `last`, both included: oldest first, or newest first.
function layout_keys:between(first, last, limit, newest_first)
  if newest_first then
    return redis.call('ZRANGE', self.key, last, first, 'BYSCORE', 'REV', 'LIMIT', 0, limit)
  end
  return redis.call('ZRANGE', self.key, first, last, 'BYSCORE', 'LIMIT', 0, limit)
end

-- How many memories there are from `first` to `last`, both included.
function layout_keys:count_between(first, last)
  return redis.call('ZCOUNT', self.key, first, last)
end

-- A page of the memories at ranks, counted from 0, the oldest, in the order of `wanted`, which may repeat.
function layout_keys:at_ranks(wanted)
  return (ranks.read(self.key, wanted))
end

-- A page of up to `limit` memories, oldest first, from the one of that rank on.
function layout_keys:from_rank(first, limit)
  return redis.call('ZRANGE', self.key, first, first + limit - 1)
end

-- A page of the memories with these ids, in their order. What there is not is in it, as gone.
function layout_keys:at(ids)
  return ids
end

-- How many memories a page has.
function layout_keys:size(page)
  return #page
end

-- The ids of a page.
function layout_keys:ids(page)
  return page
end

-- The id of a page's last memory, nil where it has none.
function layout_keys:last(page)
  return page[#page]
end

-- The page's ids without those at the positions `gone_at`, which are the second list.
local function sift(page, gone_at)
  local found, gone, next_gone = {}, {}, 1
  for i = 1, #page do
    if gone_at[next_gone] == i then
      gone[next_gone] = page[i]
      next_gone = next_gone + 1
    else
      found[i - next_gone + 1] = page[i]
    end
  end
  return found, gone
end

-- Reads the memories of a page: {ids, page, runs} of those that have a value, `page` being one of them alone
-- and `runs` their codes, as codec.add_runs makes them; and the ids of the others, which Redis has evicted,
-- or which there are not.
function layout_keys:read(page)
  local runs, gone_at = {}, {}
  chunks.each(1, #page, function(from, to)
    local values = redis.call('MGET', unpack(keys_of(self.index, page, from, to, '')))
    if codec.add_runs(runs, values) == #values then
      return
    end
    for i = 1, #values do
      if not values[i] then
        gone_at[#gone_at + 1] = from + i - 1
      end
    end
  end)
  local found, gone = page, {}
  if #gone_at > 0 then
    found, gone = sift(page, gone_at)
  end
  return { ids = found, page = found, runs = runs }, gone
end

-- The values of a page, header and codes of each, false where there is none.
function layout_keys:values(page)
  local values = {}
  chunks.each(1, #page, function(from, to)
    for i, value in ipairs(redis.call('MGET', unpack(keys_of(self.index, page, from, to, '')))) do
      values[from + i - 1] = value
    end
  end)
  return values
end

-- The ids of a page whose value is gone: it has expired, or Redis has evicted it.
function layout_keys:without_value(page)
  local prefix, gone = key_prefix(self.index), {}
  for _, id in ipairs(page) do
    if redis.call('EXISTS', prefix .. id) == 0 then
      gone[#gone + 1] = id
    end
  end
  return gone
end

-- The metadata of a page as JSON texts, false where there is none.
function layout_keys:metadata(page)
  return documents.read(self, page)
end

-- When the memories of a page expire, numbers, false for never.
function layout_keys:expiries(page)
  local prefix, expiries = key_prefix(self.index), {}
  for i, id in ipairs(page) do
    local expiry = redis.call('PEXPIRETIME', prefix .. id)
    expiries[i] = expiry > 0 and expiry
  end
  return expiries
end

-- Those of ids that the index has, in their order, and the others.
function layout_keys:indexed(ids)
  local found, others = {}, {}
  chunks.each(1, #ids, function(from, to)
    for i, score in ipairs(redis.call('ZMSCORE', self.key, unpack(ids, from, to))) do
      local into = score and found or others
      into[#into + 1] = ids[from + i - 1]
    end
  end)
  return found, others
end

-- Enters ids in the index whose values are there.
function layout_keys:enter(ids)
  chunks.each(1, #ids, function(from, to)
    local scores = {}
    for i = from, to do
      scores[#scores + 1] = ids[i]
      scores[#scores + 1] = ids[i]
    end
    redis.call('ZADD', self.key, unpack(scores))
  end)
end

-- The timestamps and columns of a segment that a packed agent has lost: here none is entered, and all are
-- columns.
function layout_keys:strays(number)
  return {}, segments.columns(self, number)
end

-- How many bytes of the server's memory the values of a page take, and their metadata.
function layout_keys:usage(page)
  local prefix, values = key_prefix(self.index), 0
  for _, id in ipairs(page) do
    values = values + (redis.call('MEMORY', 'USAGE', prefix .. id) or 0)
  end
  return values, documents.usage(self, page)
end

-- The first of ids[from … to] that the index has or whose keys exist, or nil.
local function first_taken(memory, ids, from, to)
  for i, score in ipairs(redis.call('ZMSCORE', memory.key, unpack(ids, from, to))) do
    if score then
      return ids[from + i - 1]
    end
  end
  for _, suffix in ipairs({ '', ':meta' }) do
    local keys = keys_of(memory.index, ids, from, to, suffix)
    if redis.call('EXISTS', unpack(keys)) > 0 then
      for i = 1, #keys do
        if redis.call('EXISTS', keys[i]) == 1 then
          return ids[from + i - 1]
        end
      end
    end
  end
end

-- Refuses ids that repeat or are taken: nothing is ever overwritten.
function layout_keys:must_be_new(ids)
  local seen = {}
  for _, id in ipairs(ids) do
    if seen[id] then
      errors.refuse('EXISTS', 'timestamp ' .. id .. ' is given twice')
    end
    seen[id] = true
  end
  chunks.each(1, #ids, function(from, to)
    local id = first_taken(self, ids, from, to)
    if id then
      errors.refuse('EXISTS', string.format('agent %s already has a memory at %s', self.agent, id))
    end
  end)
end

-- Writes metadata documents for a store's plan: `ids`, which are new, and `metadata`, a JSON text or '' for
-- each of them, or none at all. This is the first write, since it may be refused. Where plan.documents is
-- true, other layouts write documents, too.
function layout_keys:describe(plan)
  documents.write(self, plan.ids, plan.metadata)
end

-- Takes the metadata documents of a plan back whose memories are not written yet.
function layout_keys:undescribe(plan)
  documents.remove(self, plan.ids)
end

-- Writes and indexes the memories first … last of a store's plan; value and metadata go at plan.expiry,
-- where that is given, or each at its own of plan.expiries.
function layout_keys:put(plan, first, last)
  local prefix, ids, coded, expiries = key_prefix(self.index), plan.ids, plan.coded, plan.expiries
  local header, width, codes, sub = coded.header, coded.width, coded.codes, string.sub
  chunks.each(first, last, function(from, to)
    local entries, scores, n = {}, {}, 0
    for i = from, to do
      local id = ids[i]
      entries[n + 1] = prefix .. id
      entries[n + 2] = header .. sub(codes, (i - 1) * width + 1, i * width)
      scores[n + 1], scores[n + 2] = id, id
      n = n + 2
    end
    redis.call('MSET', unpack(entries))
    redis.call('ZADD', self.key, unpack(scores))
    for i = from, (plan.expiry or expiries) and to or 0 do
      local expiry = expiries and expiries[i] or plan.expiry
      if expiry then
        redis.call('PEXPIREAT', prefix .. ids[i], expiry)
        redis.call('PEXPIREAT', prefix .. ids[i] .. ':meta', expiry)
      end
    end
  end)
end

-- Puts other values in the place of those that ids have; how long each is kept stays as it was.
function layout_keys:replace(ids, coded)
  local prefix = key_prefix(self.index)
  for i, id in ipairs(ids) do
    redis.call('SET', prefix .. id, codec.value(coded, i), 'XX', 'KEEPTTL')
  end
end

-- Removes memories: value, metadata and index entry together; returns how many the index had.
function layout_keys:drop(ids)
  local indexed = 0
  chunks.each(1, #ids, function(from, to)
    indexed = indexed + redis.call('ZREM', self.key, unpack(ids, from, to))
    redis.call('UNLINK', unpack(keys_of(self.index, ids, from, to, '')))
  end)
  documents.remove(self, ids)
  return indexed
end

return layout_keys
