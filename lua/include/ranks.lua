-- Entries of sorted sets by rank, counted from 0.
local ranks = {}

local WORTH_ALL = 4 -- entries for each that is wanted: up to there it is faster to read the whole set

local function range(key, first, last, with_scores)
  if with_scores then
    return redis.call('ZRANGE', key, first, last, 'WITHSCORES')
  end
  return redis.call('ZRANGE', key, first, last)
end

-- The members at the `wanted` ranks, in that order, and `with_scores` their scores.
function ranks.read(key, wanted, with_scores)
  local members, scores, step = {}, {}, with_scores and 2 or 1
  local size = redis.call('ZCARD', key)
  local all = size <= WORTH_ALL * #wanted and range(key, 0, size - 1, with_scores)
  for i, rank in ipairs(wanted) do
    local entries = all or range(key, rank, rank, with_scores)
    local at = all and step * rank or 0
    members[i], scores[i] = entries[at + 1], with_scores and tonumber(entries[at + 2])
  end
  return members, scores
end

return ranks
