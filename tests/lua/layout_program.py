"""The program by which test_layouts.py calls the methods of an agent's layout."""

TEXT = """-- Calls one method of an agent's layout, and returns all that there is to say of a page.
-- KEYS[1] index. ARGV[1] the call, JSON. ARGV[2] codes. ARGV[3] layout of an agent that there is not.
-- @include errors
-- @include timestamps
-- @include layout
-- @include directory
local call, codes = cjson.decode(ARGV[1]), ARGV[2]
local memory = layout.open_to_write(KEYS[1], ARGV[3])

local function numbers_as_text(values)
  local texts = {}
  for i, value in ipairs(values) do
    texts[i] = type(value) == 'number' and string.format('%.0f', value) or value
  end
  return texts
end

local function segments_of(packed)
  local all = {}
  for i = 1, directory.size(packed) do
    local e = directory.entry(packed, i)
    all[i] = numbers_as_text({ e.number, e.first, e.last, e.rows })
  end
  return all
end

local changes = {
  put = function()
    local coded = { header = call.header, width = call.width, codes = codes, count = #codes / call.width }
    local plan = {
      ids = call.ids, coded = coded, metadata = call.metadata, expiry = call.expiry,
      newest_last = call.newest_last, documents = call.documents,
    }
    memory:must_be_new(plan.ids)
    memory:describe(plan)
    memory:put(plan, 1, #plan.ids)
    return memory:count()
  end,
  replace = function()
    memory:replace(call.ids, { header = call.header, width = call.width, codes = codes, count = #call.ids })
    return memory:count()
  end,
  drop = function() return memory:drop(call.ids) end,
  adopt = function() return memory:adopt(call.number) end,
  count = function() return memory:count() end,
  count_between = function() return memory:count_between(call.first, call.last) end,
  count_preceding = function() return memory:count_preceding(call.first) end,
  indexed = function() return { memory:indexed(call.ids) } end,
  layout = function() return memory.layout end,
  segments = function()
    local packed = memory.layout ~= 'mixed' and memory
      or memory.older.layout == 'packed' and memory.older or memory.newer
    return packed.layout == 'packed' and segments_of(packed) or {}
  end,
}

local pages = {
  newest = function() return memory:newest(call.skip, call.limit) end,
  oldest = function() return memory:oldest(call.limit) end,
  following = function() return memory:following(call.first, call.limit) end,
  preceding = function() return memory:preceding(call.first, call.limit) end,
  between = function() return memory:between(call.first, call.last, call.limit, call.newest_first) end,
  at_ranks = function() return memory:at_ranks(call.ranks) end,
  from_rank = function() return memory:from_rank(call.rank, call.limit) end,
  at = function() return memory:at(call.ids) end,
}

return errors.guard(function()
  if changes[call.method] then
    return changes[call.method]()
  end
  local page = pages[call.method]()
  local found, gone = memory:read(page)
  local runs, expiries = {}, memory:expiries(found.page)
  for i, run in ipairs(found.runs) do
    runs[i] = { run.header, run.size, run.count, run.codes }
  end
  return {
    memory:size(page), memory:last(page) or false, numbers_as_text(memory:ids(page)),
    numbers_as_text(found.ids), numbers_as_text(gone), runs, memory:values(page), memory:metadata(found.page),
    numbers_as_text(expiries), numbers_as_text(memory:without_value(page)),
  }
end)
"""
