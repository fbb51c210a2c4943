-- The two RedisJSON documents of an agent: the codec that made its memories, and what is kept at what price.
--
-- They are written when they are missing or no longer true; otherwise a store only adds to the counters.
-- @include errors
-- @include arguments
-- @include codec
-- @include trim
local agents = {}

local function price(features, stored_bytes)
  local raw_bytes = 4 * features
  local text = '{"raw_bytes":%d,"stored_bytes":%d,"rate":%.4f}'
  return text:format(raw_bytes, stored_bytes, stored_bytes / raw_bytes)
end

-- Bytes before and after compression, by feature group and in total, header included.
local function compression(config, groups_text)
  local groups = {}
  for i, group in ipairs(arguments.json(groups_text, 'feature groups')) do
    local stored_bytes = arguments.integer(group.codes, 'codes', 0, config.codes) * config.code_bytes
    local features = arguments.integer(group.features, 'features', 1, config.input_dim)
    groups[i] = cjson.encode(tostring(group.name)) .. ':' .. price(features, stored_bytes)
  end
  local text = '{"groups":{%s},"total":%s}'
  return text:format(table.concat(groups, ','), price(config.input_dim, config.value_bytes))
end

local function identity(config)
  return string.format('{"name":%s,"version":%d}', cjson.encode(config.name), config.version)
end

local function document(agent, config, groups_text, threshold, count)
  local text = '{"agent":%s,"codec":%s,"compression":%s,'
    .. '"retention":{"policy":"%s","threshold":%.0f,"sample":%d,"fraction":%g},'
    .. '"counters":{"stored":%d,"trimmed":0}}'
  return text:format(cjson.encode(agent), identity(config), compression(config, groups_text),
    trim.policy, threshold, trim.sample, trim.fraction, count)
end

-- The threshold that the agent's document states, or nil where the document lacks what a store counts on.
local function stated_threshold(agent_key)
  local paths = { '$.retention.threshold', '$.counters.stored', '$.counters.trimmed' }
  local text = redis.call('JSON.GET', agent_key, unpack(paths))
  local found = text and cjson.decode(text)
  for _, path in ipairs(paths) do
    if not found or type(found[path][1]) ~= 'number' then
      return nil
    end
  end
  return found[paths[1]][1]
end

-- The commands that make both documents true for a store with this codec and threshold; nothing is written
-- here. `count` is how many memories the agent has, for a document that starts late.
function agents.updates(agent_key, codec_key, agent, config, groups_text, threshold, count)
  local updates = {}
  local function set(key, path, text)
    updates[#updates + 1] = { 'JSON.SET', key, path, text }
  end
  local text = redis.call('JSON.GET', codec_key)
  local codec_changes = text ~= config.text
  if text and codec_changes then
    local bound_to = codec.configuration(text, codec_key)
    if bound_to.name ~= config.name then
      local refusal = 'the memories of agent %s are of codec %s, not of %s'
      errors.refuse('OTHERCODEC', refusal:format(agent, bound_to.name, config.name))
    elseif bound_to.input_dim ~= config.input_dim then
      local refusal = 'agent_states have %d features, but the memories of agent %s have %d'
      errors.refuse('BADSHAPE', refusal:format(config.input_dim, agent, bound_to.input_dim))
    end
  end
  if codec_changes then
    set(codec_key, '$', config.text)
  end
  local stated = stated_threshold(agent_key)
  if not stated then
    set(agent_key, '$', document(agent, config, groups_text, threshold, count))
    return updates
  end
  if codec_changes then
    set(agent_key, '$.codec', identity(config))
    set(agent_key, '$.compression', compression(config, groups_text))
  end
  if stated ~= threshold then
    set(agent_key, '$.retention.threshold', string.format('%.0f', threshold))
  end
  return updates
end

function agents.add_to_counters(agent_key, stored, trimmed)
  redis.call('JSON.NUMINCRBY', agent_key, '$.counters.stored', stored)
  if trimmed > 0 then
    redis.call('JSON.NUMINCRBY', agent_key, '$.counters.trimmed', trimmed)
  end
end

return agents
