-- An agent's memories, wherever its layout keeps them: the index, the values and the metadata are reached
-- through the methods of the layout alone. layout_keys.lua says what the methods are.
--
-- A handle is {index = the key by which all know the agent, key = where the index of these memories is, agent
-- = its id, layout}. While an agent is converted, the index of the older memories, which are in the new
-- layout already, is agent:{ID}:memories:older.
-- @include errors
-- @include layout_keys
-- @include layout_packed
-- @include layout_mixed
-- @include directory
local layout = {}

local LAYOUT_OF = { zset = 'keys', string = 'packed' } -- by the type of the index

local function handle(index, key, name)
  local methods = name == 'packed' and layout_packed or layout_keys
  local memory = { index = index, key = key, layout = name }
  memory.agent = index:sub(#'agent:{' + 1, -#'}:memories' - 1)
  if name == 'packed' then
    directory.size(memory) -- a string that is no directory is refused
  end
  return setmetatable(memory, { __index = methods })
end

-- The layout of the index at a key, nil where there is none; a key of another type is refused.
local function layout_at(key)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and not LAYOUT_OF[found] then
    local text = 'key %s holds a value of type %s, not zset or string'
    errors.refuse('WRONGTYPE', text:format(key, found))
  end
  return LAYOUT_OF[found]
end

local function mixed(index, older, newer)
  local memory = { index = index, agent = newer.agent, layout = 'mixed', older = older, newer = newer }
  return setmetatable(memory, { __index = layout_mixed })
end

-- The memories of the agent with this index; `begin` is the layout of an agent that has none, "keys" where it
-- is nil.
function layout.open(index, begin)
  local older_key = index .. ':older'
  local name, older = layout_at(index), layout_at(older_key)
  if not older then
    return handle(index, index, name or begin or 'keys')
  elseif name then
    return mixed(index, handle(index, older_key, older), handle(index, index, name))
  end
  return handle(index, older_key, older) -- all that was newer is gone
end

-- The same for who will change them.
function layout.open_to_write(index, begin)
  local memory = layout.open(index, begin)
  if memory.key and memory.key ~= index then
    redis.call('RENAME', memory.key, index)
    memory.key = index
  end
  return memory
end

-- The handle of an older part for `memory`, in another layout, that memories can be moved to.
function layout.older_part(memory, name)
  return handle(memory.index, memory.index .. ':older', name)
end

return layout
