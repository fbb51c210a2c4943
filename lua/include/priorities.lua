-- The priorities by which memories are sampled: the sorted set agent:{ID}:priorities, member TS. Where the
-- policy has `priorities` each memory enters it as it is stored; others are entered before they are first
-- sampled (enter_priorities.lua). Whatever drops a memory drops its priority.
-- @include errors
-- @include arguments
-- @include chunks
-- @include ranks
local priorities = {}

local LEAST, LARGEST = 2 ^ -32, 2 ^ 32 -- what is beyond is brought to these: so there are few buckets
local FIRST = 1 -- the priority of memories that enter where none has one

function priorities.key(index)
  return index:sub(1, -#'memories' - 1) .. 'priorities'
end

local function text(number)
  return string.format('%.17g', number)
end

-- Gives memories first … last the priorities that priority_of(i) says, with an option of ZADD or nil;
-- returns how many had none.
local function add(index, option, ids, first, last, priority_of)
  local added = 0
  chunks.each(first, last, function(from, to)
    local entries = { option }
    for i = from, to do
      entries[#entries + 1] = priority_of(i)
      entries[#entries + 1] = ids[i]
    end
    added = added + redis.call('ZADD', priorities.key(index), unpack(entries))
  end)
  return added
end

-- Refuses a key of another type, before anything is written.
function priorities.must_fit(index)
  arguments.key_type(priorities.key(index), 'zset')
end

function priorities.count(index)
  return redis.call('ZCARD', priorities.key(index))
end

-- Enters the memories first … last that have no priority with the largest that a memory of the agent has,
-- as prioritised experience replay does; returns how many.
function priorities.enter(index, ids, first, last)
  local largest = redis.call('ZRANGE', priorities.key(index), 0, 0, 'REV', 'WITHSCORES')[2] or FIRST
  return add(index, 'NX', ids, first, last, function() return largest end)
end

-- Gives memories of the agent other priorities, numbers above 0.
function priorities.set(index, ids, numbers)
  add(index, nil, ids, 1, #ids, function(i)
    return text(math.max(LEAST, math.min(numbers[i], LARGEST)))
  end)
end

function priorities.drop(index, ids)
  if redis.call('TYPE', priorities.key(index)).ok ~= 'zset' then
    return
  end
  chunks.each(1, #ids, function(from, to)
    redis.call('ZREM', priorities.key(index), unpack(ids, from, to))
  end)
end

-- Forgets all of them.
function priorities.clear(index)
  redis.call('UNLINK', priorities.key(index))
end

-- The least priority, or nil where there is none.
function priorities.least(index)
  return tonumber(redis.call('ZRANGE', priorities.key(index), 0, 0, 'WITHSCORES')[2])
end

-- The priorities by powers of two: a list of {first rank, count, bound}, those from bound / 2 to below bound.
-- Buckets without any are left out: it takes two calls for each that there is, and there are at most 65.
function priorities.buckets(index)
  local key, count, rank, buckets = priorities.key(index), priorities.count(index), 0, {}
  while rank < count do
    local priority = tonumber(redis.call('ZRANGE', key, rank, rank, 'WITHSCORES')[2])
    if priority < LEAST or priority > LARGEST then
      errors.refuse('CORRUPT', string.format('%s holds a priority out of range, %g', key, priority))
    end
    local _, exponent = math.frexp(priority)
    local bound = 2 ^ exponent
    local size = redis.call('ZCOUNT', key, text(bound / 2), '(' .. text(bound))
    buckets[#buckets + 1] = { first = rank, count = size, bound = bound }
    rank = rank + size
  end
  return buckets
end

-- The ids at such ranks, and their priorities.
function priorities.at_ranks(index, wanted)
  return ranks.read(priorities.key(index), wanted, true)
end

return priorities
