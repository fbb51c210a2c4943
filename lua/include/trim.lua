-- The retention policy "oldest": past its threshold an agent loses a fraction of a sample of its oldest.
-- @include layout_keys
local trim = { policy = 'oldest', sample = 100, fraction = 0.2 }

-- How many of `count` memories the policy drops at once: enough that not every store has to trim.
local function share(count)
  return math.max(1, math.floor(trim.fraction * math.min(trim.sample, count)))
end

-- Drops the oldest of `count` memories until at most `threshold` are left; returns how many are.
function trim.down_to(threshold, index, count)
  while count > threshold do
    local ids = layout.oldest(index, share(count))
    layout.drop(index, ids)
    count = count - #ids
  end
  return count
end

return trim
