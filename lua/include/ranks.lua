-- Entries of sorted sets by rank, counted from 0.
local ranks = {}

local CALL = 5 -- a call of ZRANGE takes as long as reading so many entries more

local function range(key, first, last, with_scores)
  if with_scores then
    return redis.call('ZRANGE', key, first, last, 'WITHSCORES')
  end
  return redis.call('ZRANGE', key, first, last)
end

-- How many calls it takes to read `wanted`, one for ranks that follow each other.
local function count_calls(wanted)
  local calls, next_rank = 0, nil
  for i = 1, #wanted do
    local rank = wanted[i]
    if rank ~= next_rank then
      calls = calls + 1
    end
    next_rank = rank + 1
  end
  return calls
end

-- The members at the `wanted` ranks, in that order, and `with_scores` their scores.
function ranks.read(key, wanted, with_scores)
  local members, scores, step = {}, {}, with_scores and 2 or 1
  local size, count = redis.call('ZCARD', key), #wanted
  local all = size <= count + CALL * count_calls(wanted) and range(key, 0, size - 1, with_scores)
  local i = 1
  while i <= count do
    local first, n = wanted[i], 1
    while wanted[i + n] == first + n do
      n = n + 1
    end
    local entries = all or range(key, first, first + n - 1, with_scores)
    local at = all and step * first or 0
    for _ = 1, n do
      members[i], scores[i] = entries[at + 1], with_scores and tonumber(entries[at + 2])
      i, at = i + 1, at + step
    end
  end
  return members, scores
end

return ranks
