-- What is kept of an agent's memories, as clients send it with each store: a JSON object with `retention`,
-- `ttl_ms` where memories expire, `stream_entries` where the agent has a stream, `priorities`, true, where
-- each memory gets a priority to be sampled by, `layout`, that of an agent that has no memories yet, and
-- `documents`, true, where the metadata of packed memories are documents of their own.
-- @include errors
-- @include arguments
-- @include memo
local policy = {}

local LARGEST_COUNT = 2 ^ 53 - 1

local function whole(rule, field)
  arguments.integer(rule[field], 'policy retention ' .. field, 1, LARGEST_COUNT)
end

-- Refuses a retention other than "oldest" that does not say what it must beside its name.
local function check_other(rule)
  local number_of = {
    max_count = 'count', max_age = 'age_ms', importance = 'count', thinning = 'recent',
    byte_budget = 'size_bytes',
  }
  local number = number_of[rule.policy]
  if number then
    whole(rule, number)
  elseif rule.policy ~= 'keep_all' then
    errors.refuse('BADARG', 'policy has no retention that this server knows')
  end
  local field = rule.policy == 'importance' and '.' .. (type(rule.field) == 'string' and rule.field or '')
  if field and (#field > 257 or field:find('[^%w_%-%.\128-\255]') or field:find('%.%.')
    or field:find('%.$')) then
    errors.refuse('BADARG', 'policy retention field is not names of letters, digits, _ and - with dots')
  end
end

local function check(rule)
  if rule.policy ~= 'oldest' then
    return check_other(rule)
  end
  whole(rule, 'threshold')
  arguments.integer(rule.sample, 'policy retention sample', 1, arguments.largest_batch)
  if type(rule.fraction) ~= 'number' or rule.fraction <= 0 or rule.fraction > 1 then
    errors.refuse('BADARG', 'policy retention fraction is not a number above 0 and up to 1')
  end
end

-- Reads a policy, which nobody changes; `text` is it as it came, which is what the agent's document states.
policy.parse = memo.of(function(text)
  local parsed = arguments.json(text, 'policy')
  local rule = parsed.retention
  if type(rule) ~= 'table' then
    errors.refuse('BADARG', 'policy has no retention that this server knows')
  end
  check(rule)
  if parsed.ttl_ms ~= nil then
    arguments.integer(parsed.ttl_ms, 'policy ttl_ms', 1, LARGEST_COUNT)
  end
  if parsed.stream_entries ~= nil then
    arguments.integer(parsed.stream_entries, 'policy stream_entries', 1, LARGEST_COUNT)
  end
  if parsed.priorities ~= nil and type(parsed.priorities) ~= 'boolean' then
    errors.refuse('BADARG', 'policy priorities is ' .. tostring(parsed.priorities) .. ', not true or false')
  end
  if parsed.layout ~= nil and parsed.layout ~= 'keys' and parsed.layout ~= 'packed' then
    errors.refuse('BADARG', 'policy layout is ' .. tostring(parsed.layout) .. ', not keys or packed')
  end
  if parsed.documents ~= nil and type(parsed.documents) ~= 'boolean' then
    errors.refuse('BADARG', 'policy documents is ' .. tostring(parsed.documents) .. ', not true or false')
  end
  parsed.has_companion = rule.policy == 'importance' or rule.policy == 'byte_budget'
  parsed.text = text
  return parsed
end)

return policy
