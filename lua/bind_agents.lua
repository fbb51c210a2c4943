#!lua
--[[ Binds agents to a codec, a policy or both, in the place of a binding for the same text, or unbinds them.
     Clients read the bindings and pick; the agent's memories are not touched.
     KEYS[1] memory_systems.
     ARGV[1] the agents: an id, or a pattern. ARGV[2] name of a codec, or empty text. ARGV[3] its version;
     empty text for the latest. ARGV[4] policy, as for store_memories.lua, or empty text. Without codec and
     policy the agents are unbound.
     Returns 1 where there was a binding for the same text, otherwise 0.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(number of bindings). ]]
-- @include errors
-- @include arguments
-- @include policy

local LARGEST_COUNT = 1024 -- bindings: each client has all of them

-- The bindings there are, and whether there is a document at all.
local function read_bindings(key)
  local text = redis.call('JSON.GET', key)
  if not text then
    return {}, false
  end
  local document = arguments.json(text, key)
  if type(document.bindings) ~= 'table' then
    errors.refuse('WRONGTYPE', key .. ' holds no bindings')
  end
  return document.bindings, true
end

local function position_of(agents, bindings)
  for i, binding in ipairs(bindings) do
    if type(binding) == 'table' and binding.agents == agents then
      return i
    end
  end
end

local function binding_text(agents, name, version, kept)
  if version ~= '' then
    version = string.format('%d', arguments.integer(version, 'version', 1, 65535))
  else
    version = 'null'
  end
  local policy_text = kept ~= '' and ',"policy":' .. policy.parse(kept).text or ''
  local text = '{"agents":%s,"codec":%s,"version":%s%s}'
  return text:format(cjson.encode(agents), name ~= '' and cjson.encode(name) or 'null', version, policy_text)
end

return errors.guard(function()
  local key, agents, name = KEYS[1], ARGV[1], ARGV[2]
  arguments.key_type(key, 'ReJSON-RL')
  local kept = ARGV[4] or ''
  local text = (name ~= '' or kept ~= '') and binding_text(agents, name, ARGV[3], kept)
  local bindings, exists = read_bindings(key)
  local position = position_of(agents, bindings)
  local path = position and string.format('$.bindings[%d]', position - 1)
  if not text and position then
    redis.call('JSON.DEL', key, path)
  elseif text and position then
    redis.call('JSON.SET', key, path, text)
  elseif text then
    arguments.integer(#bindings + 1, 'the number of bindings', 1, LARGEST_COUNT)
    if exists then
      redis.call('JSON.ARRAPPEND', key, '$.bindings', text)
    else
      redis.call('JSON.SET', key, '$', '{"bindings":[' .. text .. ']}')
    end
  end
  return position and 1 or 0
end)
