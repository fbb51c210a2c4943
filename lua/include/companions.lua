-- What some retentions keep beside the index, a number for each memory: "importance" the value of a metadata
-- field, in a sorted set whose members are the ids with zeros before them, so that of equal values the
-- oldest is first; "byte_budget" the size in bytes, in a hash that also has the `total`. A number is there
-- for as long as the index entry, even where Redis has evicted the value: what goes is taken off exactly.
--
-- Both companions have: key(index), type, count(index); numbers(rule, bytes_of, metadata, count), those of
-- the first `count` memories, whose values have bytes_of(i) bytes and whose metadata are JSON texts, '' or
-- false; enter(index, ids, numbers, first, last) and remove(index, ids); lacking(index, ids, numbers), those
-- of ids that have no such number.
-- @include arguments
-- @include chunks
local companions = {}

local function key(index, name)
  return index:sub(1, -#'memories' - 1) .. name
end

local function make_importance()
  local importance = { type = 'zset' }

  local function padded(id)
    return string.rep('0', 16 - #id) .. id
  end

  -- The number that the dotted path `field` leads to in a JSON text, 0 where it leads to none.
  local function number_at(text, field)
    local ok, value = pcall(cjson.decode, text)
    value = ok and value
    for name in field:gmatch('[^.]+') do
      value = type(value) == 'table' and value[name]
    end
    return type(value) == 'number' and value == value and value or 0
  end

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

  function importance.enter(index, ids, numbers, first, last)
    chunks.each(first, last, function(from, to)
      local entries = {}
      for i = from, to do
        entries[#entries + 1] = string.format('%.17g', numbers[i])
        entries[#entries + 1] = padded(ids[i])
      end
      redis.call('ZADD', importance.key(index), unpack(entries))
    end)
  end

  function importance.remove(index, ids)
    chunks.each(1, #ids, function(from, to)
      local members = {}
      for i = from, to do
        members[#members + 1] = padded(ids[i])
      end
      redis.call('ZREM', importance.key(index), unpack(members))
    end)
  end

  function importance.lacking(index, ids, numbers)
    local lacking = {}
    chunks.each(1, #ids, function(from, to)
      local members = {}
      for i = from, to do
        members[#members + 1] = padded(ids[i])
      end
      for i, score in ipairs(redis.call('ZMSCORE', importance.key(index), unpack(members))) do
        if tonumber(score or nil) ~= numbers[from + i - 1] then
          lacking[#lacking + 1] = ids[from + i - 1]
        end
      end
    end)
    return lacking
  end

  -- Up to `limit` ids, the least important first.
  function importance.least(index, limit)
    local members = redis.call('ZRANGE', importance.key(index), 0, limit - 1)
    for i, member in ipairs(members) do
      members[i] = member:match('^0*(%d+)$')
    end
    return members
  end

  return importance
end

local function make_sizes()
  local sizes = { type = 'hash' }

  function sizes.key(index)
    return key(index, 'sizes')
  end

  function sizes.numbers(_, bytes_of, metadata, count)
    local numbers = {}
    for i = 1, count do
      numbers[i] = bytes_of(i) + #(metadata[i] or '')
    end
    return numbers
  end

  function sizes.count(index)
    return math.max(0, redis.call('HLEN', sizes.key(index)) - 1)
  end

  -- What is new or has changed counts towards the total.
  function sizes.enter(index, ids, numbers, first, last)
    chunks.each(first, last, function(from, to)
      local entries, sum = {}, 0
      local known = redis.call('HMGET', sizes.key(index), unpack(ids, from, to))
      for i = from, to do
        entries[#entries + 1] = ids[i]
        entries[#entries + 1] = numbers[i]
        sum = sum + numbers[i] - (known[i - from + 1] or 0)
      end
      redis.call('HSET', sizes.key(index), unpack(entries))
      redis.call('HINCRBY', sizes.key(index), 'total', sum)
    end)
  end

  function sizes.remove(index, ids)
    chunks.each(1, #ids, function(from, to)
      local sum = 0
      for _, size in ipairs(redis.call('HMGET', sizes.key(index), unpack(ids, from, to))) do
        sum = sum + (size or 0)
      end
      redis.call('HDEL', sizes.key(index), unpack(ids, from, to))
      redis.call('HINCRBY', sizes.key(index), 'total', -sum)
    end)
  end

  -- Only whether there is one: RedisJSON may print metadata in more or fewer bytes than it was given.
  function sizes.lacking(index, ids)
    local lacking = {}
    chunks.each(1, #ids, function(from, to)
      for i, size in ipairs(redis.call('HMGET', sizes.key(index), unpack(ids, from, to))) do
        if not tonumber(size or nil) then
          lacking[#lacking + 1] = ids[from + i - 1]
        end
      end
    end)
    return lacking
  end

  function sizes.total(index)
    return tonumber(redis.call('HGET', sizes.key(index), 'total') or 0)
  end

  -- The sizes of some ids, false for those that it has not.
  function sizes.of(index, ids)
    return redis.call('HMGET', sizes.key(index), unpack(ids))
  end

  return sizes
end

-- The companion of a rule, or nil.
function companions.of(rule)
  if rule.policy == 'importance' then
    return make_importance()
  elseif rule.policy == 'byte_budget' then
    return make_sizes()
  end
end

-- The names of the companions' keys of an agent.
function companions.keys(index)
  return { key(index, 'importance'), key(index, 'sizes') }
end

-- Forgets all numbers of an agent.
function companions.clear(index)
  redis.call('UNLINK', unpack(companions.keys(index)))
end

-- Returns a rule's companion; one of another type is refused, before anything is written.
function companions.must_fit(rule, index)
  local companion = companions.of(rule)
  arguments.key_type(companion.key(index), companion.type)
  return companion
end

-- The total that the agent's sizes state, as text, or false where it has none.
function companions.stated_total(index)
  local sizes = make_sizes()
  local there = redis.call('TYPE', sizes.key(index)).ok == sizes.type
  return there and redis.call('HGET', sizes.key(index), 'total')
end

-- Removes memories from whatever companions the agent has.
function companions.drop(index, ids)
  if redis.call('EXISTS', unpack(companions.keys(index))) == 0 then
    return
  end
  for _, companion in ipairs({ make_importance(), make_sizes() }) do
    if redis.call('TYPE', companion.key(index)).ok == companion.type then
      companion.remove(index, ids)
    end
  end
end

return companions
