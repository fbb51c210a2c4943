-- What is kept of an agent's memories, as clients send it with each store: a JSON object with `retention`.
-- @include errors
-- @include arguments
local policy = {}

local LARGEST_COUNT = 2 ^ 53 - 1

-- What each retention must say beside its name.
local CHECKS = {
  oldest = function(rule)
    arguments.integer(rule.threshold, 'policy retention threshold', 1, LARGEST_COUNT)
    arguments.integer(rule.sample, 'policy retention sample', 1, arguments.largest_batch)
    if type(rule.fraction) ~= 'number' or rule.fraction <= 0 or rule.fraction > 1 then
      errors.refuse('BADARG', 'policy retention fraction is not a number above 0 and up to 1')
    end
  end,
}

-- Reads a policy; `text` is it as it came, which is what the agent's document states.
function policy.parse(text)
  local parsed = arguments.json(text, 'policy')
  local rule = parsed.retention
  local check = type(rule) == 'table' and CHECKS[rule.policy]
  if not check then
    errors.refuse('BADARG', 'policy has no retention that this server knows')
  end
  check(rule)
  if parsed.stream_entries ~= nil then
    arguments.integer(parsed.stream_entries, 'policy stream_entries', 1, LARGEST_COUNT)
  end
  parsed.text = text
  return parsed
end

return policy
