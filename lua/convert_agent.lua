#!lua
--[[ Moves memories of one agent to another layout: one step, whose caller goes on while some are left. A step
     is done as a whole or not at all; between two steps the agent has memories in both layouts, the older in
     one and the newer in the other. Timestamps, metadata, expiry and what is kept beside memories stay.
     KEYS[1] index. KEYS[2] agent metadata.
     ARGV[1] layout, keys or packed. ARGV[2] step, how many memories to look at.
     Returns {moved, lost, left}: lost are those that were dropped since their value was gone; counters.lost
     counts them, or counters.trimmed where memories expire.
     Errors MEMERR BADARG BADMETA WRONGTYPE.
     Cost O(step log N). ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout
-- @include policy
-- @include memories
-- @include agents

-- The memory that is to be empty in the end and the one to move to, nil where nothing is to be moved.
local function find_ways(memory, wanted)
  if memory.newer and memory.newer.layout == wanted then
    return memory.older, memory.newer
  elseif memory.newer then
    return memory.newer, memory.older
  elseif memory.layout ~= wanted and memory:count() > 0 then
    return memory, layout.older_part(memory, wanted)
  end
end

-- Puts the memories that were found to the others, a plan for each run of one header.
local function put(target, ids, found, metadata, expiries, as_documents)
  local first = 1
  for _, run in ipairs(found.runs) do
    local plan = { ids = {}, metadata = {}, expiries = {}, documents = as_documents }
    plan.coded = { header = run.header, width = run.size, count = run.count, codes = run.codes }
    for i = 1, run.count do
      local n = first + i - 1
      plan.ids[i], plan.metadata[i], plan.expiries[i] = ids[n], metadata[n], expiries[n]
    end
    target:put(plan, 1, run.count)
    first = first + run.count
  end
end

-- Moves the oldest of the newer part, or the newest of the older one; returns how many were moved and lost.
local function move(source, target, page, as_documents)
  local found, gone = source:read(page)
  local ids, metadata, texts = source:ids(found.page), source:metadata(found.page), {}
  local expiries, count = source:expiries(found.page), source:count()
  for i = 1, #ids do
    texts[i] = metadata[i] or ''
  end
  local described = { ids = ids, metadata = texts, documents = as_documents }
  target:describe(described) -- before anything is dropped, since it may be refused
  memories.drop_beside(source, timestamps.texts(gone))
  source:drop(source:ids(page))
  if target.layout == 'keys' or as_documents then
    target:describe(described) -- again: the source may have had them in the same documents
  end
  put(target, ids, found, texts, expiries, as_documents)
  return #ids, count - source:count() - #ids
end

return errors.guard(function()
  local memory = layout.open_to_write(KEYS[1])
  arguments.key_type(KEYS[2], 'ReJSON-RL')
  if ARGV[1] ~= 'keys' and ARGV[1] ~= 'packed' then
    errors.refuse('BADARG', 'layout is ' .. tostring(ARGV[1]) .. ', not keys or packed')
  end
  local step = arguments.integer(ARGV[2], 'step', 1, arguments.largest_batch)
  local source, target = find_ways(memory, ARGV[1])
  if not source then
    return { 0, 0, 0 }
  end
  local is_newer = target ~= memory.newer
  local page = is_newer and source:oldest(step) or source:from_rank(math.max(0, source:count() - step), step)
  local ok, kept = pcall(policy.parse, agents.policy(KEYS[2]) or '')
  local moved, lost = move(source, target, page, ok and kept.documents)
  agents.count_gone(KEYS[2], lost)
  local left = source:count()
  if left == 0 then
    layout.open_to_write(KEYS[1]) -- what is left of two parts gets the name of the whole
  end
  return { moved, lost, left }
end)
