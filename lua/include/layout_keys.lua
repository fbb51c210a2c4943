-- The layout "keys": every memory a key of its own. Only these functions touch memories, their metadata
-- documents and the index; another layout would be another file with the same functions. Each takes the index
-- key, from which the others derive: agent:{ID}:memories, agent:{ID}:memory:TS, agent:{ID}:memory:TS:meta.
-- @include errors
-- @include chunks
-- @include ranks
local layout = {}

local function key_prefix(index)
  return index:sub(1, -#'ies' - 1) .. 'y:'
end

-- The agent's id as it stands in the index key.
function layout.agent(index)
  return index:match('{(.*)}')
end

local function keys_of(index, ids, from, to, suffix)
  local prefix, keys = key_prefix(index), {}
  for i = from, to do
    keys[#keys + 1] = prefix .. ids[i] .. suffix
  end
  return keys
end

function layout.count(index)
  return redis.call('ZCARD', index)
end

-- `limit` ids from the newest, after leaving out `skip` of them.
function layout.newest(index, skip, limit)
  return redis.call('ZRANGE', index, skip, skip + limit - 1, 'REV')
end

-- `limit` ids from the oldest.
function layout.oldest(index, limit)
  return redis.call('ZRANGE', index, 0, limit - 1)
end

-- The first `limit` ids after `id`, oldest first; the very first where `id` is nil.
function layout.following(index, id, limit)
  local from = id and '(' .. id or '-inf'
  return redis.call('ZRANGE', index, from, '+inf', 'BYSCORE', 'LIMIT', 0, limit)
end

-- `limit` ids before `id`, oldest first.
function layout.preceding(index, id, limit)
  return redis.call('ZRANGE', index, '-inf', '(' .. id, 'BYSCORE', 'LIMIT', 0, limit)
end

-- How many ids there are before `id`.
function layout.count_preceding(index, id)
  return redis.call('ZCOUNT', index, '-inf', '(' .. id)
end

-- The first `limit` ids from `first` to `last`, both included: oldest first, or newest first.
function layout.between(index, first, last, limit, newest_first)
  if newest_first then
    return redis.call('ZRANGE', index, last, first, 'BYSCORE', 'REV', 'LIMIT', 0, limit)
  end
  return redis.call('ZRANGE', index, first, last, 'BYSCORE', 'LIMIT', 0, limit)
end

-- How many ids there are from `first` to `last`, both included.
function layout.count_between(index, first, last)
  return redis.call('ZCOUNT', index, first, last)
end

-- The ids at ranks, counted from 0, the oldest.
function layout.at_ranks(index, wanted)
  return (ranks.read(index, wanted))
end

-- `limit` ids from rank `first` on, oldest first.
function layout.from_rank(index, first, limit)
  return redis.call('ZRANGE', index, first, first + limit - 1)
end

-- Those of ids that the index has, in their order, and the others.
function layout.indexed(index, ids)
  local found, others = {}, {}
  chunks.each(1, #ids, function(from, to)
    for i, score in ipairs(redis.call('ZMSCORE', index, unpack(ids, from, to))) do
      local into = score and found or others
      into[#into + 1] = ids[from + i - 1]
    end
  end)
  return found, others
end

-- Enters ids in the index whose values are there.
function layout.enter(index, ids)
  chunks.each(1, #ids, function(from, to)
    local scores = {}
    for i = from, to do
      scores[#scores + 1] = ids[i]
      scores[#scores + 1] = ids[i]
    end
    redis.call('ZADD', index, unpack(scores))
  end)
end

-- How many bytes of memory the values of ids take, and their metadata.
function layout.usage(index, ids)
  local prefix, values, metadata = key_prefix(index), 0, 0
  for _, id in ipairs(ids) do
    values = values + (redis.call('MEMORY', 'USAGE', prefix .. id) or 0)
    metadata = metadata + (redis.call('MEMORY', 'USAGE', prefix .. id .. ':meta') or 0)
  end
  return values, metadata
end

-- The first of ids[from … to] that the index has or whose keys exist, or nil.
local function first_taken(index, ids, from, to)
  for i, score in ipairs(redis.call('ZMSCORE', index, unpack(ids, from, to))) do
    if score then
      return ids[from + i - 1]
    end
  end
  for _, suffix in ipairs({ '', ':meta' }) do
    local keys = keys_of(index, ids, from, to, suffix)
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
function layout.must_be_new(index, ids)
  local seen = {}
  for _, id in ipairs(ids) do
    if seen[id] then
      errors.refuse('EXISTS', 'timestamp ' .. id .. ' is given twice')
    end
    seen[id] = true
  end
  chunks.each(1, #ids, function(from, to)
    local id = first_taken(index, ids, from, to)
    if id then
      errors.refuse('EXISTS', string.format('agent %s already has a memory at %s', layout.agent(index), id))
    end
  end)
end

-- Sets documents, given as key, path and text each, and adds their keys to `written`; returns the error that
-- ended it, or nil. RedisJSON before 2.6 has no command for several.
local function set_documents(arguments, written)
  local reply = redis.pcall('JSON.MSET', unpack(arguments)) -- all of them or none
  local one_by_one = reply.err and reply.err:find('nknown Redis command', 1, true)
  for i = 1, #arguments, 3 do
    if one_by_one then
      reply = redis.pcall('JSON.SET', unpack(arguments, i, i + 2))
    end
    if reply.err then
      return reply.err
    end
    written[#written + 1] = arguments[i]
  end
end

-- Writes metadata documents for new ids; `metadata` has a JSON text or '' for each of them, or is empty.
-- RedisJSON may refuse a text (nested too deeply, say): so this is the first write, and it undoes itself.
function layout.describe(index, ids, metadata)
  local prefix = key_prefix(index)
  local head = '{"agent":' .. cjson.encode(layout.agent(index)) .. ',"timestamp":'
  local written = {}
  chunks.each(1, #metadata, function(from, to)
    local arguments = {}
    for i = from, to do
      if metadata[i] ~= '' then
        arguments[#arguments + 1] = prefix .. ids[i] .. ':meta'
        arguments[#arguments + 1] = '$'
        arguments[#arguments + 1] = head .. ids[i] .. ',"metadata":' .. metadata[i] .. '}'
      end
    end
    if #arguments == 0 then
      return
    end
    local problem = set_documents(arguments, written)
    if problem then
      for _, key in ipairs(written) do
        redis.call('UNLINK', key)
      end
      errors.refuse('BADMETA', 'RedisJSON refuses the metadata: ' .. problem)
    end
  end)
end

-- Takes the metadata documents of ids back whose memories are not written yet.
function layout.undescribe(index, ids)
  chunks.each(1, #ids, function(from, to)
    redis.call('UNLINK', unpack(keys_of(index, ids, from, to, ':meta')))
  end)
end

-- Writes and indexes the memories first … last; value and metadata go at `expiry`, where that is given.
function layout.put(index, ids, values, first, last, expiry)
  local prefix = key_prefix(index)
  chunks.each(first, last, function(from, to)
    local entries, scores = {}, {}
    for i = from, to do
      local id, n = ids[i], 2 * (i - from)
      entries[n + 1], entries[n + 2] = prefix .. id, values[i]
      scores[n + 1], scores[n + 2] = id, id
    end
    redis.call('MSET', unpack(entries))
    redis.call('ZADD', index, unpack(scores))
    for i = from, expiry and to or 0 do
      redis.call('PEXPIREAT', prefix .. ids[i], expiry)
      redis.call('PEXPIREAT', prefix .. ids[i] .. ':meta', expiry)
    end
  end)
end

-- The values of ids, false where there is none.
function layout.get(index, ids)
  local values = {}
  chunks.each(1, #ids, function(from, to)
    for i, value in ipairs(redis.call('MGET', unpack(keys_of(index, ids, from, to, '')))) do
      values[from + i - 1] = value
    end
  end)
  return values
end

-- Those of ids whose value is gone: it has expired, or Redis has evicted it.
function layout.without_value(index, ids)
  local prefix, gone = key_prefix(index), {}
  for _, id in ipairs(ids) do
    if redis.call('EXISTS', prefix .. id) == 0 then
      gone[#gone + 1] = id
    end
  end
  return gone
end

-- Puts other values in the place of those that ids have; how long each is kept stays as it was.
function layout.replace(index, ids, values)
  local prefix = key_prefix(index)
  for i, id in ipairs(ids) do
    redis.call('SET', prefix .. id, values[i], 'XX', 'KEEPTTL')
  end
end

-- The metadata of ids as JSON texts, false where there is none.
function layout.metadata(index, ids)
  local texts = {}
  chunks.each(1, #ids, function(from, to)
    local arguments = keys_of(index, ids, from, to, ':meta')
    arguments[#arguments + 1] = '.metadata'
    for i, text in ipairs(redis.call('JSON.MGET', unpack(arguments))) do
      texts[from + i - 1] = text
    end
  end)
  return texts
end

-- Removes memories: value, metadata and index entry together; returns how many the index had.
function layout.drop(index, ids)
  local indexed = 0
  chunks.each(1, #ids, function(from, to)
    indexed = indexed + redis.call('ZREM', index, unpack(ids, from, to))
    redis.call('UNLINK', unpack(keys_of(index, ids, from, to, '')))
    redis.call('UNLINK', unpack(keys_of(index, ids, from, to, ':meta')))
  end)
  return indexed
end

return layout
