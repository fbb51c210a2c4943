-- What is kept of an agent's memories, as clients send it with each store: a JSON object with `retention`,
-- and `ttl_ms` where memories expire.
-- @include errors
-- @include arguments
local policy = {}

local LARGEST_COUNT = 2 ^ 53 - 1

local function whole(rule, ...)
  for _, field in ipairs({ ... }) do
    arguments.integer(rule[field], 'policy retention ' .. field, 1, LARGEST_COUNT)
  end
end

-- What each retention must say beside its name.
local CHECKS = {
  oldest = function(rule)
    whole(rule, 'threshold')
    arguments.integer(rule.sample, 'policy retention sample', 1, arguments.largest_batch)
    if type(rule.fraction) ~= 'number' or rule.fraction <= 0 or rule.fraction > 1 then
      errors.refuse('BADARG', 'policy retention fraction is not a number above 0 and up to 1')
    end
  end,
  keep_all = function() end,
  max_count = function(rule)
    whole(rule, 'count')
  end,
  max_age = function(rule)
    whole(rule, 'age_ms')
  end,
  importance = function(rule)
    whole(rule, 'count')
    local field = rule.field
    if type(field) ~= 'string' or #field > 256 or field:find('[^%w_%-%.\128-\255]') or field:find('%.%.')
      or not field:find('^[^.].*[^.]$') and not field:find('^[^.]$') then
      errors.refuse('BADARG', 'policy retention field is not names of letters, digits, _ and - with dots')
    end
  end,
  thinning = function(rule)
    whole(rule, 'recent')
  end,
  byte_budget = function(rule)
    whole(rule, 'size_bytes')
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
  if parsed.ttl_ms ~= nil then
    arguments.integer(parsed.ttl_ms, 'policy ttl_ms', 1, LARGEST_COUNT)
  end
  parsed.text = text
  return parsed
end

return policy
