-- Applies a policy: which memories go once an agent has more than it may, or once they have expired.
--
-- A store or trim_agent.lua makes one task, which bounds what it drops and what it looks at; what is left is
-- for the next one. A batch ends as the same stores one by one, as long as no bound is reached: each rule
-- says how many memories may be added before it has to be applied.
-- @include layout_keys
-- @include companions
-- @include memories
-- @include agents
local trim = {
  spare = 1000, -- memories that a store may drop beyond as many as it adds
}

local THINNED_EVERY = 16 -- stored memories between two steps of thinning
local THINNED_AT_ONCE = 8 * THINNED_EVERY -- memories that such a step looks at
local PAGE = 100 -- sizes read at once

-- A task for an agent of `count` memories, that drops up to `limit` and enters as many in companions.
-- `coming` are the numbers by companions.numbers of memories that will be added, where those may be older
-- than others; otherwise nil.
function trim.task(policy, index, agent_key, count, limit, coming)
  return {
    policy = policy, rule = policy.retention, index = index, agent_key = agent_key, coming = coming,
    count = count, limit = limit, to_enter = limit, added = 0, dropped = 0,
  }
end

local function drop(task, ids)
  if #ids == 0 then
    return
  end
  task.limit = task.limit - #ids
  task.dropped = task.dropped + #ids
  task.count = task.count - memories.drop(task.index, ids)
end

local function drop_oldest(task, count)
  drop(task, layout.oldest(task.index, math.min(count, task.limit)))
end

-- How many of the oldest the rule "oldest" drops at once: enough that not every store has to trim.
local function share(task)
  local rule = task.rule
  return math.max(1, math.floor(rule.fraction * math.min(rule.sample, task.count)))
end

-- Whether the rule's companion has all memories. If not, up to task.to_enter are entered, oldest first: the
-- cursor in the agent's document says how far earlier tasks came. Nothing goes before all are there.
local function all_entered(task)
  local index, rule = task.index, task.rule
  if companions.count(rule, index) == task.count then
    return true
  elseif task.to_enter <= 0 then
    return false
  end
  local page = layout.following(index, agents.cursor(task.agent_key), task.to_enter)
  if #page > 0 then
    local numbers = companions.numbers(rule, layout.get(index, page), layout.metadata(index, page), #page)
    companions.enter(rule, index, page, numbers, 1, #page)
  end
  local at_the_end = #page < task.to_enter
  agents.set_cursor(task.agent_key, not at_the_end and page[#page] or nil)
  task.to_enter = task.to_enter - #page
  local entered = companions.count(rule, index)
  if at_the_end and entered > task.count then
    redis.call('UNLINK', unpack(companions.keys(index))) -- it has others than the index, so it begins anew
  end
  return entered == task.count
end

-- The first id that is young enough for the rule "max_age", or nil where all are.
local function first_kept(task)
  local newest = layout.newest(task.index, 0, 1)[1]
  local first = newest and newest - task.rule.age_ms
  return first and first > 0 and string.format('%.0f', first) or nil
end

-- The newest memory that the rule "thinning" may drop, as a number, or nil where it may drop none.
local function thinned_to(task)
  local id = layout.newest(task.index, task.rule.recent, 1)[1]
  return id and tonumber(id)
end

-- Looks at up to `limit` memories after the cursor; those go between whose neighbours no gap is left that is
-- larger than age / recent. The cursor is one before the last that stayed: the next step's left neighbour.
local function thin(task, limit)
  local index, last = task.index, thinned_to(task)
  if not last or limit < 1 then
    return
  end
  local newest = tonumber(layout.newest(index, 0, 1)[1])
  local ids = layout.following(index, agents.cursor(task.agent_key), limit + 2)
  local left, going, position = tonumber(ids[1]), {}, 2
  while position < #ids and tonumber(ids[position]) <= last do
    local at = tonumber(ids[position])
    if tonumber(ids[position + 1]) - left <= (newest - at) / task.rule.recent then
      going[#going + 1] = ids[position]
    else
      left = at
    end
    position = position + 1
  end
  local at_the_end = #ids < limit + 2 or position < #ids
  agents.set_cursor(task.agent_key, not at_the_end and string.format('%.0f', left - 1) or nil)
  drop(task, going)
end

-- Drops the oldest until the sizes are within the budget; the newest memory stays whatever its size.
local function drop_beyond_budget(task)
  local index = task.index
  local excess = companions.total_bytes(index) - task.rule.size_bytes
  while excess > 0 and task.count > 1 and task.limit > 0 do
    local page = layout.oldest(index, math.min(PAGE, task.count - 1, task.limit))
    local going = {}
    for i, size in ipairs(companions.sizes(index, page)) do
      if excess > 0 then
        going[i], excess = page[i], excess - (size or 0)
      end
    end
    drop(task, going)
  end
end

-- For each retention: `room`, how many memories may be added before it is applied, if it matters; `apply`;
-- `left`, how many memories still have to go, or to be looked at to know.
local RULES = {
  keep_all = {
    apply = function() end,
    left = function() return 0 end,
  },
  oldest = {
    room = function(task)
      return task.rule.threshold + 1 - task.count -- the one that passes the threshold, too
    end,
    apply = function(task)
      while task.count > task.rule.threshold and task.limit > 0 do
        drop_oldest(task, share(task))
      end
    end,
    left = function(task) return task.count - task.rule.threshold end,
  },
  max_count = {
    apply = function(task)
      if task.count > task.rule.count and task.limit > 0 then
        drop_oldest(task, task.count - task.rule.count)
      end
    end,
    left = function(task) return task.count - task.rule.count end,
  },
  max_age = {
    apply = function(task)
      local first = first_kept(task)
      if first and task.limit > 0 then
        drop(task, layout.preceding(task.index, first, task.limit))
      end
    end,
    left = function(task)
      local first = first_kept(task)
      return first and layout.count_preceding(task.index, first) or 0
    end,
  },
  importance = {
    apply = function(task)
      while all_entered(task) and task.count > task.rule.count and task.limit > 0 do
        drop(task, companions.least_important(
          task.index, math.min(task.count - task.rule.count, task.limit)))
      end
    end,
    left = function(task) return task.count - task.rule.count end,
  },
  thinning = {
    room = function(task)
      task.stored = task.stored or agents.stored(task.agent_key)
      return THINNED_EVERY - task.stored % THINNED_EVERY
    end,
    apply = function(task)
      if task.stored % THINNED_EVERY == 0 then
        thin(task, math.min(THINNED_AT_ONCE, task.limit))
      end
    end,
    left = function(task)
      local last, cursor = thinned_to(task), agents.cursor(task.agent_key)
      if not last or not cursor then
        return 0
      end
      return layout.count_preceding(task.index, string.format('%.0f', last + 1))
        - layout.count_preceding(task.index, string.format('%.0f', cursor + 2))
    end,
  },
  byte_budget = {
    room = function(task)
      if not task.coming then
        return math.huge -- of memories in order, as many of the newest stay as if they came one by one
      elseif not all_entered(task) then
        return 1
      end
      local room, total = 0, companions.total_bytes(task.index)
      repeat
        room = room + 1
        total = total + (task.coming[task.added + room] or 0)
      until total > task.rule.size_bytes or task.added + room >= #task.coming
      return room
    end,
    apply = function(task)
      if all_entered(task) then
        drop_beyond_budget(task)
      end
    end,
    left = function(task)
      local missing = task.count - companions.count(task.rule, task.index)
      local total = companions.total_bytes(task.index)
      local excess = total - task.rule.size_bytes
      if missing > 0 or excess <= 0 or task.count <= 1 then
        return missing
      end
      return math.ceil(excess / total * task.count) -- by their mean size
    end,
  },
}

-- Drops those of the oldest whose value is gone, where memories expire: `page` at a time, for as long as all
-- of a page are gone.
local function drop_expired(task, page)
  local ids, gone
  repeat
    ids = layout.oldest(task.index, math.min(page, task.limit))
    gone = layout.without_value(task.index, ids)
    drop(task, gone)
  until #gone < #ids or #ids == 0 or task.limit <= 0
end

-- How many memories may be added before trim.after_adding.
function trim.room(task)
  local room = RULES[task.rule.policy].room
  return room and math.max(1, room(task)) or math.huge
end

-- Notes that `count` memories were added and drops what the policy does not keep.
function trim.after_adding(task, count)
  task.count = task.count + count
  task.added = task.added + count
  task.stored = task.stored and task.stored + count
  if task.policy.ttl_ms and task.limit > 0 then
    drop_expired(task, count + 1)
  end
  RULES[task.rule.policy].apply(task)
end

-- Drops what the policy does not keep.
function trim.now(task)
  if task.policy.ttl_ms then
    drop_expired(task, PAGE)
  end
  if task.rule.policy == 'thinning' then
    thin(task, task.limit)
  else
    RULES[task.rule.policy].apply(task)
  end
end

-- How many memories still have to go, or to be looked at to know.
function trim.left(task)
  return math.max(0, RULES[task.rule.policy].left(task))
end

return trim
