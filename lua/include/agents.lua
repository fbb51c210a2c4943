-- The two RedisJSON documents of an agent: the codecs that made its memories, and what is kept at what price.
--
-- They are written when they are missing or no longer true; otherwise a store only adds to the counters.
-- @include errors
-- @include arguments
-- @include codec
-- @include layout
-- @include companions
local agents = {}

local LOOKS = 100 -- memories that are asked which generation is the agent's own, where nothing else says it

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

local function document(agent, config, groups_text, policy, count)
  local text = '{"agent":%s,"codec":%s,"compression":%s,"policy":%s,"counters":{"stored":%d,"trimmed":0}}'
  local prices = compression(config, groups_text)
  return text:format(cjson.encode(agent), identity(config), prices, policy.text, count)
end

-- What the agent's document states, as text: {policy = …}, or nil where it lacks what a store counts on.
local function stated(agent_key)
  local text = arguments.document(agent_key, '$.policy', '$.counters')
  local policies = text and text:match('"$%.policy":(%b[])')
  local counters = text and text:match('"$%.counters":%[({[^{}]*})%]')
  if not policies or policies == '[]' or not counters or not counters:find('[{,]"stored":%d+[,}]')
    or not counters:find('[{,]"trimmed":%d+[,}]') then
    return nil
  end
  return { policy = policies:sub(2, -2) }
end

-- The text of memory_system: the configuration as clients send it, then what the server adds. It is as
-- RedisJSON prints it, so that comparing texts tells whether anything changes.
local function codec_document(config, earlier, re_encoded_to)
  local added = {}
  if config.generation > 0 then
    added[1] = string.format(',"generation":%d', config.generation)
  end
  if #earlier > 0 then
    local entries = {}
    for i, other in ipairs(earlier) do
      local text = '{"generation":%d,"name":%s}'
      entries[i] = text:format(other.generation, cjson.encode(other.name))
    end
    added[#added + 1] = ',"earlier":[' .. table.concat(entries, ',') .. ']'
    if re_encoded_to then
      added[#added + 1] = string.format(',"re_encoded_to":%.0f', re_encoded_to)
    end
  end
  if #added == 0 then
    return config.text
  end
  return config.text:gsub('%s*}%s*$', '') .. table.concat(added) .. '}'
end

-- Gives `config` a generation in the place of `own`, the agent's codec; returns the earlier codecs then.
local function succeed(own, config, agent)
  local earlier, taken, generation = {}, {}, nil
  for _, other in ipairs({ own, unpack(own.earlier) }) do
    taken[other.generation] = true
    if other.name == config.name then
      generation = other.generation -- back to an earlier one
    else
      earlier[#earlier + 1] = other
    end
  end
  if not generation then
    generation = 0
    while taken[generation] do
      generation = generation + 1
    end
  end
  if generation == codec.generations then
    local refusal = 'agent %s has memories of %d codecs: re-encode them before it gets one more'
    errors.refuse('OTHERCODEC', refusal:format(agent, codec.generations))
  end
  config.generation = generation
  return earlier
end

-- The values of the newest memories that have one, of those that are looked at, newest first.
local function newest_values(memory)
  local values = {}
  for _, value in ipairs(memory:values(memory:newest(0, LOOKS))) do
    if value and value ~= '' then
      values[#values + 1] = value
    end
  end
  return values
end

-- Gives `config` its generation among the agent's codecs, and returns the text that memory_system must have,
-- or nil where it has that. Only `switching` makes a codec of another name the agent's own.
local function adopt(memory, codec_key, config, switching)
  local text = arguments.document(codec_key)
  if text == config.text then
    return nil
  elseif not text then
    -- New, or lost; then the newest memory still says which generation is the agent's own.
    local newest = newest_values(memory)[1]
    config.generation = newest and codec.generation(newest) or 0
    return codec_document(config, {})
  end
  local own, agent = codec.of_agent(codec_key, text), memory.agent
  if own.name ~= config.name and not switching then
    local refusal = 'the memories of agent %s are of codec %s, not of %s; re-encoding them would change that'
    errors.refuse('OTHERCODEC', refusal:format(agent, own.name, config.name))
  elseif own.input_dim ~= config.input_dim and switching then
    local refusal = 'the memories of agent %s are of states of %d features, not of %d'
    errors.refuse('OTHERCODEC', refusal:format(agent, own.input_dim, config.input_dim))
  elseif own.input_dim ~= config.input_dim then
    local refusal = 'agent_states have %d features, but the memories of agent %s have %d'
    errors.refuse('BADSHAPE', refusal:format(config.input_dim, agent, own.input_dim))
  elseif own.name == config.name then
    config.generation = own.generation
    local wanted = codec_document(config, own.earlier, own.re_encoded_to)
    return wanted ~= text and wanted or nil
  end
  return codec_document(config, succeed(own, config, agent))
end

local function add(updates, key, path, text)
  updates[#updates + 1] = { 'JSON.SET', key, path, text }
end

-- The commands that make both documents true for memories that `config` makes, and what the agent's document
-- states, nil where that has to be written anew.
local function codec_updates(memory, agent_key, codec_key, config, groups_text, switching)
  local updates = {}
  local codec_text = adopt(memory, codec_key, config, switching)
  local found = stated(agent_key)
  if codec_text then
    add(updates, codec_key, '$', codec_text)
    if found then
      add(updates, agent_key, '$.codec', identity(config))
      add(updates, agent_key, '$.compression', compression(config, groups_text))
    end
  end
  return updates, found
end

-- Adds the commands that end what another retention began: the companions, and how far it came. They stay
-- where the policy that the document states, as text, differs in its figures alone.
local function begin_retention(updates, index, agent_key, rule, stated_policy)
  local ok, before = pcall(cjson.decode, stated_policy)
  before = ok and type(before) == 'table' and before.retention
  if type(before) ~= 'table' or before.policy ~= rule.policy or before.field ~= rule.field then
    updates[#updates + 1] = { 'UNLINK', unpack(companions.keys(index)) }
    updates[#updates + 1] = { 'JSON.DEL', agent_key, '$.cursor' }
  end
end

-- The commands that make both documents true for a store with this codec and policy; nothing is written here.
-- `count` is how many memories the agent has, for a document that starts late.
function agents.updates(memory, agent_key, codec_key, config, groups_text, policy, count)
  local updates, found = codec_updates(memory, agent_key, codec_key, config, groups_text, false)
  if not found then
    add(updates, agent_key, '$', document(memory.agent, config, groups_text, policy, count))
    begin_retention(updates, memory.index, agent_key, policy.retention, '')
  elseif found.policy ~= policy.text then
    add(updates, agent_key, '$.policy', policy.text)
    begin_retention(updates, memory.index, agent_key, policy.retention, found.policy)
  end
  return updates
end

-- The commands that make this codec the agent's own, whatever its memories are of; nothing is written here.
function agents.switch(memory, agent_key, codec_key, config, groups_text)
  return (codec_updates(memory, agent_key, codec_key, config, groups_text, true))
end

-- Refuses to re-encode only what comes after `cursor` where earlier codecs may have memories before it:
-- another client switched the codec after the step that returned this cursor. nil is the beginning.
function agents.must_be_re_encoded_to(cursor, own, agent)
  if cursor and #own.earlier > 0 and tonumber(cursor) > (own.re_encoded_to or -1) then
    local refusal = 'agent %s got another codec since the step that returned cursor %s: begin again'
    errors.refuse('OTHERCODEC', refusal:format(agent, cursor))
  end
end

-- Notes that no memory up to `cursor` is of an earlier codec; where that is nil, none at all, and they go.
function agents.note_re_encoded(codec_key, own, cursor)
  if #own.earlier == 0 then
    return
  elseif not cursor then
    redis.call('JSON.DEL', codec_key, '$.earlier')
    redis.call('JSON.DEL', codec_key, '$.re_encoded_to')
  elseif tonumber(cursor) > (own.re_encoded_to or -1) then
    redis.call('JSON.SET', codec_key, '$.re_encoded_to', cursor)
  end
end

function agents.add_to_counters(agent_key, stored, trimmed)
  if stored > 0 then
    redis.call('JSON.NUMINCRBY', agent_key, '$.counters.stored', stored)
  end
  if trimmed > 0 then
    redis.call('JSON.NUMINCRBY', agent_key, '$.counters.trimmed', trimmed)
  end
end

-- Adds to a counter that is there once there was something to count. Without a document nothing is counted.
function agents.count_up(agent_key, counter, number)
  if number > 0 and stated(agent_key) then
    redis.call('JSON.SET', agent_key, '$.counters.' .. counter, '0', 'NX')
    redis.call('JSON.NUMINCRBY', agent_key, '$.counters.' .. counter, number)
  end
end

-- Counts memories whose value was found to be gone: as trimmed where memories expire, since nothing tells
-- which of them Redis has evicted, otherwise as lost.
function agents.count_gone(agent_key, number)
  local ttl = redis.call('JSON.GET', agent_key, '$.policy.ttl_ms')
  agents.count_up(agent_key, ttl and ttl:find('%d') and 'trimmed' or 'lost', number)
end

-- Gives `config` the generation of the newest memory that it can have made; where there are only others, it
-- is refused.
local function take_generation(memory, config)
  local values = newest_values(memory)
  for _, value in ipairs(values) do
    config.generation = codec.generation(value)
    if codec.made(config, value) and #value == config.value_bytes then
      return
    end
  end
  if #values > 0 then
    local refusal = 'the newest memories of agent %s are not of version %d of codec %s'
    errors.refuse('OTHERCODEC', refusal:format(memory.agent, config.version, config.name))
  end
end

-- The commands that write the documents that are missing, or cannot be read, for memories that `config`
-- makes, and change nothing else; `policy` is for an agent's document that states none.
function agents.restoration(memory, agent_key, codec_key, config, groups_text, policy)
  local updates, found = {}, stated(agent_key)
  if not pcall(codec.of_agent, codec_key) then
    take_generation(memory, config)
    add(updates, codec_key, '$', codec_document(config, {}))
  end
  if not found then
    local text = document(memory.agent, config, groups_text, policy, memory:count())
    add(updates, agent_key, '$', text)
  end
  return updates
end

-- The policy that the agent's document states, as text, or nil.
function agents.policy(agent_key)
  local found = stated(agent_key)
  return found and found.policy
end

return agents
