-- The metadata of memories as RedisJSON documents, agent:{ID}:memory:TS:meta, which RediSearch finds.
-- @include errors
-- @include chunks
local documents = {}

-- RedisJSON changes the last bit of some numbers of many digits, or with an exponent. Where a text has such,
-- its document has it once more as it is: a string, `exact`, beside the metadata that queries see.
local MANY_DIGITS = string.rep('[%d.]', 16)

local function exact_member(text)
  local find = string.find
  if find(text, MANY_DIGITS) or find(text, '%d[eE]') then
    return ',"exact":' .. cjson.encode(text)
  end
  return ''
end

local function key_prefix(memory)
  return memory.index:sub(1, -#'ies' - 1) .. 'y:'
end

local function keys_of(memory, ids, from, to)
  local prefix, keys, before = key_prefix(memory), {}, from - 1
  for i = from, to do
    keys[i - before] = prefix .. ids[i] .. ':meta'
  end
  return keys
end

-- What a document has at a path of one step: the text of an array of one, or false. One command a document:
-- of JSON.MGET the server checks the rights to the first key alone, so that who may run it may read the
-- documents of every agent.
local function get(key, path)
  local found = redis.pcall('JSON.GET', key, path)
  if type(found) == 'table' and not found.err:lower():find('wrong', 1, true) then
    error(found) -- anything but a key of another type
  end
  return type(found) == 'string' and found ~= '[]' and found
end

-- Sets documents, given as key, path and text each, and adds their keys to `written`; returns the error that
-- ended it and the key that it is about, or nil. RedisJSON before 2.6 has no command for several, and where
-- that refuses it does not say which.
local function set(arguments, written)
  local reply = redis.pcall('JSON.MSET', unpack(arguments)) -- all of them or none
  local one_by_one = reply.err
  for i = 1, #arguments, 3 do
    if one_by_one then
      reply = redis.pcall('JSON.SET', unpack(arguments, i, i + 2))
    end
    if reply.err then
      return reply.err, arguments[i]
    end
    written[#written + 1] = arguments[i]
  end
end

-- Writes documents for new ids; `metadata` has a JSON text or '' for each of them, or is empty. RedisJSON may
-- refuse a text (nested too deeply, say): so this is the first write, and it undoes itself.
function documents.write(memory, ids, metadata)
  local prefix = key_prefix(memory)
  local head = '{"agent":' .. cjson.encode(memory.agent) .. ',"timestamp":'
  local written = {}
  chunks.each(1, #metadata, function(from, to)
    local arguments, n = {}, 0
    for i = from, to do
      local text = metadata[i]
      if text ~= '' then
        arguments[n + 1], arguments[n + 2] = prefix .. ids[i] .. ':meta', '$'
        arguments[n + 3] = head .. ids[i] .. ',"metadata":' .. text .. exact_member(text) .. '}'
        n = n + 3
      end
    end
    if n == 0 then
      return
    end
    local problem, key = set(arguments, written)
    if problem then
      for _, done in ipairs(written) do
        redis.call('UNLINK', done)
      end
      local refusal = 'RedisJSON refuses the metadata of the memory at %s of agent %s: %s'
      errors.refuse('BADMETA', refusal:format(key:match(':(%d+):meta$'), memory.agent, problem))
    end
  end)
end

-- The metadata of ids as JSON texts, as they were stored; false where there is none.
function documents.read(memory, ids)
  local prefix, texts = key_prefix(memory), {}
  for i, id in ipairs(ids) do
    local key = prefix .. id .. ':meta'
    local text = get(key, '$.metadata')
    if text then
      local exact = text:find('[.eE]%-?%d') and get(key, '$.exact')
      text = exact and cjson.decode(exact)[1] or text:sub(2, -2)
    end
    texts[i] = text
  end
  return texts
end

-- How many bytes of the server's memory the documents of ids take.
function documents.usage(memory, ids)
  local prefix, bytes = key_prefix(memory), 0
  for _, id in ipairs(ids) do
    bytes = bytes + (redis.call('MEMORY', 'USAGE', prefix .. id .. ':meta') or 0)
  end
  return bytes
end

-- Lets the documents of ids first … last go at a time.
function documents.expire(memory, ids, first, last, expiry)
  for _, key in ipairs(keys_of(memory, ids, first, last)) do
    redis.call('PEXPIREAT', key, expiry)
  end
end

function documents.remove(memory, ids)
  chunks.each(1, #ids, function(from, to)
    redis.call('UNLINK', unpack(keys_of(memory, ids, from, to)))
  end)
end

return documents
