-- What some retentions keep beside the index, a number for each memory: "importance" the value of a metadata
-- field, in a sorted set whose members are the ids with zeros before them, so that of equal values the
-- oldest is first; "byte_budget" the size in bytes, in a hash that also has the `total`. A number is there
-- for as long as the index entry, even where Redis has evicted the value: what goes is taken off exactly.
-- @include arguments
local companions = {}

local CHUNK = 1000 -- memories a call, as in the layout

local function key(index, name)
  return index:sub(1, -#'memories' - 1) .. name
end

local function padded(id)
  return string.rep('0', 16 - #id) .. id
end

-- The number that the dotted path `field` leads to in a JSON text, 0 where it leads to none.
local function number_at(text, field)
  local ok, value = pcall(cjson.decode, text or '')
  value = ok and value
  for name in field:gmatch('[^.]+') do
    value = type(value) == 'table' and value[name]
  end
  return type(value) == 'number' and value == value and value or 0
end

local importance = { type = 'zset' }

function importance.key(index)
  return key(index, 'importance')
end

function importance.numbers(rule, _, metadata, count)
  local numbers = {}
  for i = 1, count do
    local text = metadata[i]
    numbers[i] = text and text ~= '' and number_at(text, rule.field) or 0
  end
  return numbers
end

function importance.count(index)
  return redis.call('ZCARD', importance.key(index))
end

function importance.enter(index, ids, numbers, from, to)
  local entries = {}
  for i = from, to do
    entries[#entries + 1] = string.format('%.17g', numbers[i])
    entries[#entries + 1] = padded(ids[i])
  end
  redis.call('ZADD', importance.key(index), unpack(entries))
end

function importance.remove(index, ids, from, to)
  local members = {}
  for i = from, to do
    members[#members + 1] = padded(ids[i])
  end
  redis.call('ZREM', importance.key(index), unpack(members))
end

local sizes = { type = 'hash' }

function sizes.key(index)
  return key(index, 'sizes')
end

function sizes.numbers(_, values, metadata, count)
  local numbers = {}
  for i = 1, count do
    numbers[i] = #(values[i] or '') + #(metadata[i] or '')
  end
  return numbers
end

function sizes.count(index)
  return math.max(0, redis.call('HLEN', sizes.key(index)) - 1)
end

-- Adds to the total what is new or has changed.
function sizes.enter(index, ids, numbers, from, to)
  local entries, sum = {}, 0
  local known = redis.call('HMGET', sizes.key(index), unpack(ids, from, to))
  for i = from, to do
    entries[#entries + 1] = ids[i]
    entries[#entries + 1] = numbers[i]
    sum = sum + numbers[i] - (known[i - from + 1] or 0)
  end
  redis.call('HSET', sizes.key(index), unpack(entries))
  redis.call('HINCRBY', sizes.key(index), 'total', sum)
end

function sizes.remove(index, ids, from, to)
  local sum = 0
  for _, size in ipairs(redis.call('HMGET', sizes.key(index), unpack(ids, from, to))) do
    sum = sum + (size or 0)
  end
  redis.call('HDEL', sizes.key(index), unpack(ids, from, to))
  redis.call('HINCRBY', sizes.key(index), 'total', -sum)
end

local OF = { importance = importance, byte_budget = sizes }

-- The names of the companions' keys of an agent.
function companions.keys(index)
  return { importance.key(index), sizes.key(index) }
end

-- Refuses a companion of another type; called before anything is written.
function companions.must_fit(rule, index)
  local companion = OF[rule.policy]
  if companion then
    arguments.key_type(companion.key(index), companion.type)
  end
end

-- The numbers of the first `count` memories by the rule, or nil where it keeps none. `metadata` has JSON
-- texts, '' or false.
function companions.numbers(rule, values, metadata, count)
  local companion = OF[rule.policy]
  return companion and companion.numbers(rule, values, metadata, count)
end

-- Enters the numbers of the memories first … last.
function companions.enter(rule, index, ids, numbers, first, last)
  for from = first, last, CHUNK do
    OF[rule.policy].enter(index, ids, numbers, from, math.min(from + CHUNK - 1, last))
  end
end

-- How many memories the rule's companion has.
function companions.count(rule, index)
  return OF[rule.policy].count(index)
end

-- Removes memories from whatever companions the agent has.
function companions.drop(index, ids)
  for _, companion in pairs(OF) do
    if redis.call('TYPE', companion.key(index)).ok == companion.type then
      for from = 1, #ids, CHUNK do
        companion.remove(index, ids, from, math.min(from + CHUNK - 1, #ids))
      end
    end
  end
end

-- Up to `limit` ids, the least important first.
function companions.least_important(index, limit)
  local members = redis.call('ZRANGE', importance.key(index), 0, limit - 1)
  for i, member in ipairs(members) do
    members[i] = member:match('^0*(%d+)$')
  end
  return members
end

function companions.total_bytes(index)
  return tonumber(redis.call('HGET', sizes.key(index), 'total') or 0)
end

-- The sizes of ids that the companion has.
function companions.sizes(index, ids)
  return redis.call('HMGET', sizes.key(index), unpack(ids))
end

return companions
