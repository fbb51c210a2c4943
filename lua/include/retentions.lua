-- The retentions other than "oldest", which tasks apply themselves: for each `room`, how many memories may
-- be added before it is applied, where that matters; `apply`; `left`, how many memories still have to go, or
-- be looked at to know. All work on such a task.
-- @include companions
local retentions = {}

local function count_rule()
  return {
    apply = function(task)
      if task.count > task.rule.count and task.limit > 0 then
        task:drop_oldest(math.min(task.count - task.rule.count, task.limit))
      end
    end,
    left = function(task) return task.count - task.rule.count end,
  }
end

local function age_rule()
  -- The first id that is young enough, or nil where all are.
  local function first_kept(task)
    local newest = task.memory:last(task.memory:newest(0, 1))
    local first = newest and newest - task.rule.age_ms
    return first and first > 0 and string.format('%.0f', first) or nil
  end

  return {
    apply = function(task)
      local first = first_kept(task)
      if first and task.limit > 0 then
        task:drop(task.memory:ids(task.memory:preceding(first, task.limit)))
      end
    end,
    left = function(task)
      local first = first_kept(task)
      return first and task.memory:count_preceding(first) or 0
    end,
  }
end

-- How far a retention came that looks at some memories at a time: it stands in the agent's document.
local function cursor_of(task)
  return redis.call('JSON.GET', task.agent_key, '$.cursor'):match('"(%-?%d+)"')
end

local function set_cursor(task, cursor)
  if cursor then
    redis.call('JSON.SET', task.agent_key, '$.cursor', '"' .. cursor .. '"')
  else
    redis.call('JSON.DEL', task.agent_key, '$.cursor')
  end
end

-- Whether the rule's companion has all memories. If not, up to task.to_enter are entered, oldest first: the
-- cursor says how far earlier tasks came. Nothing goes before all are there.
local function all_entered(task)
  local memory, companion = task.memory, companions.of(task.rule)
  local index = memory.index
  if companion.count(index) == task.count then
    return true
  elseif task.to_enter <= 0 then
    return false
  end
  local page = memory:following(cursor_of(task), task.to_enter)
  local size = memory:size(page)
  if size > 0 then
    local values, metadata, ids = memory:values(page), memory:metadata(page), memory:ids(page)
    local function bytes_of(i) return #(values[i] or '') end
    companion.enter(index, ids, companion.numbers(task.rule, bytes_of, metadata, #ids), 1, #ids)
  end
  local at_the_end = size < task.to_enter
  set_cursor(task, not at_the_end and memory:last(page) or nil)
  task.to_enter = task.to_enter - size
  local entered = companion.count(index)
  if at_the_end and entered > task.count then
    redis.call('UNLINK', companion.key(index)) -- it has others than the index, so it begins anew
  end
  return entered == task.count
end

local function importance_rule()
  local importance = companions.of({ policy = 'importance' })
  return {
    apply = function(task)
      while all_entered(task) and task.count > task.rule.count and task.limit > 0 do
        task:drop(importance.least(task.memory.index, math.min(task.count - task.rule.count, task.limit)))
      end
    end,
    left = function(task) return task.count - task.rule.count end,
  }
end

local function thinning_rule()
  local every = 16 -- stored memories between two steps
  local at_once = 8 * every -- memories that such a step looks at

  -- The newest memory that may go, as a number, or nil where none may.
  local function last_of(task)
    local id = task.memory:last(task.memory:newest(task.rule.recent, 1))
    return id and tonumber(id)
  end

  -- Looks at up to `limit` memories after the cursor; those go between whose neighbours no gap is left that
  -- is larger than age / recent. The cursor is one before the last that stayed: the next left neighbour.
  local function thin(task, limit)
    local memory, last = task.memory, last_of(task)
    if not last or limit < 1 then
      return
    end
    local newest = tonumber(memory:last(memory:newest(0, 1)))
    local ids = memory:ids(memory:following(cursor_of(task), limit + 2))
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
    set_cursor(task, not at_the_end and string.format('%.0f', left - 1) or nil)
    task:drop(going)
  end

  local function stored(task)
    if not task.stored_before then
      local text = redis.call('JSON.GET', task.agent_key, '$.counters.stored')
      task.stored_before = tonumber(text:match('%d+'))
    end
    return task.stored_before + task.added
  end

  return {
    room = function(task) return every - stored(task) % every end,
    apply = function(task)
      if stored(task) % every == 0 then
        thin(task, math.min(at_once, task.limit))
      end
    end,
    apply_now = function(task) thin(task, task.limit) end,
    left = function(task)
      local last, cursor = last_of(task), cursor_of(task)
      if not last or not cursor then
        return 0
      end
      return task.memory:count_preceding(string.format('%.0f', last + 1))
        - task.memory:count_preceding(string.format('%.0f', cursor + 2))
    end,
  }
end

local function budget_rule()
  local sizes = companions.of({ policy = 'byte_budget' })

  -- How many of the coming memories it takes to pass the budget.
  local function room(task)
    if not task.coming then
      return math.huge -- of memories in order, as many of the newest stay as if they came one by one
    elseif not all_entered(task) then
      return 1
    end
    local count, total = 0, sizes.total(task.memory.index)
    repeat
      count = count + 1
      total = total + task.coming[task.added + count]
    until total > task.rule.size_bytes or task.added + count == #task.coming
    return count
  end

  -- Drops the oldest until the sizes are within the budget; the newest stays whatever its size.
  local function apply(task)
    if not all_entered(task) then
      return
    end
    local memory, index = task.memory, task.memory.index
    local excess = sizes.total(index) - task.rule.size_bytes
    while excess > 0 and task.count > 1 and task.limit > 0 do
      local ids, going = memory:ids(memory:oldest(math.min(100, task.count - 1, task.limit))), {}
      for i, size in ipairs(sizes.of(index, ids)) do
        if excess > 0 then
          going[i], excess = ids[i], excess - (size or 0)
        end
      end
      task:drop(going)
    end
  end

  local function left(task)
    local missing, total = task.count - sizes.count(task.memory.index), sizes.total(task.memory.index)
    local excess = total - task.rule.size_bytes
    if missing > 0 or excess <= 0 or task.count <= 1 then
      return missing
    end
    return math.ceil(excess / total * task.count) -- by their mean size
  end

  return { room = room, apply = apply, left = left }
end

local function no_rule()
  return { apply = function() end, left = function() return 0 end }
end

-- The functions of a rule.
function retentions.of(rule)
  local make = ({
    keep_all = no_rule, max_count = count_rule, max_age = age_rule, importance = importance_rule,
    thinning = thinning_rule, byte_budget = budget_rule,
  })[rule.policy]
  return make()
end

-- Drops those of the oldest whose value is gone, where memories expire: `page` at a time, for as long as all
-- of a page are gone.
function retentions.drop_expired(task, page)
  local oldest, gone
  repeat
    oldest = task.memory:oldest(math.min(page, task.limit))
    gone = task.memory:without_value(oldest)
    task:drop(gone)
  until #gone < task.memory:size(oldest) or #gone == 0 or task.limit <= 0
end

return retentions
