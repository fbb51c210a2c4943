-- The stream of an agent, for those who follow it: agent:{ID}:stream has an entry TS-0 for each memory, with
-- its `value`, the name of the `codec` that made it, so that it can be decoded whatever codecs the agent has
-- by then, and `metadata`, a JSON text, where there is some.
-- @include errors
-- @include arguments
-- @include chunks
-- @include codec
local stream = {}

function stream.key(index)
  return index:sub(1, -#'memories' - 1) .. 'stream'
end

-- The timestamp that all new ones must be above, 0 without a stream. A key of another type is refused.
function stream.last(index)
  local key = stream.key(index)
  arguments.key_type(key, 'stream')
  if redis.call('EXISTS', key) == 0 then
    return 0
  end
  local facts = redis.call('XINFO', 'STREAM', key)
  for i = 1, #facts, 2 do
    if facts[i] == 'last-generated-id' then
      return tonumber(facts[i + 1]:match('^%d+'))
    end
  end
end

-- Refuses ids that do not each come after the one before, the first after `last`.
function stream.must_follow(agent, last, ids)
  for _, id in ipairs(ids) do
    if tonumber(id) <= last then
      local text = 'timestamp %s is not above %.0f: those of agent %s must increase, since it has a stream'
      errors.refuse('BADORDER', text:format(id, last, agent))
    end
    last = tonumber(id)
  end
end

-- Enters the memories first … last; about `entries` are kept. `metadata` has a text or '' for each, or
-- none.
function stream.add(index, entries, codec_name, ids, coded, metadata, first, last)
  local key = stream.key(index)
  for i = first, last do
    local fields = { 'value', codec.value(coded, i), 'codec', codec_name }
    if metadata[i] and metadata[i] ~= '' then
      fields[5], fields[6] = 'metadata', metadata[i]
    end
    redis.call('XADD', key, 'MAXLEN', '~', entries, ids[i] .. '-0', unpack(fields))
  end
end

-- Removes entries where there is a stream. A key of another type is not ours, so its error is none of ours.
function stream.drop(index, ids)
  local key = stream.key(index)
  chunks.each(1, #ids, function(from, to)
    local entries = {}
    for i = from, to do
      entries[#entries + 1] = ids[i] .. '-0'
    end
    redis.pcall('XDEL', key, unpack(entries))
  end)
end

return stream
