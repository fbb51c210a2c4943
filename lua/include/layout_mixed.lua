-- An agent on its way from one layout to another (convert_agent.lua): its older memories are in the new one,
-- the newer ones still in the old. The handle has both, `older` and `newer`; each memory is in one of them,
-- and what is asked of the agent is asked of both.
--
-- A page is {size, parts}: {memory, page} in its order; or {size, parts, places}: where the order is another,
-- for each memory {part, number in it}.
-- @include codec
-- @include segments
local layout_mixed = {}

-- The last id that belongs to the older part, as a number.
local function boundary(mixed)
  local older = mixed.older
  return tonumber(older:last(older:newest(0, 1)) or -1)
end

-- Calls visit(memory, ids, their positions) for each part that some of ids belong to.
local function split(mixed, ids, visit)
  local last = boundary(mixed)
  local sides = { { memory = mixed.older }, { memory = mixed.newer } }
  for _, side in ipairs(sides) do
    side.ids, side.positions = {}, {}
  end
  for position, id in ipairs(ids) do
    local side = sides[tonumber(id) <= last and 1 or 2]
    side.ids[#side.ids + 1], side.positions[#side.positions + 1] = id, position
  end
  for _, side in ipairs(sides) do
    if #side.ids > 0 then
      visit(side.memory, side.ids, side.positions)
    end
  end
end

-- The page of the first `limit` memories of some that each part has: first(memory, limit, other memory).
local function in_order(mixed, limit, newest_first, first)
  local order = newest_first and { mixed.newer, mixed.older } or { mixed.older, mixed.newer }
  local page = { size = 0, parts = {} }
  for i, memory in ipairs(order) do
    local some = page.size < limit and first(memory, limit - page.size, order[3 - i])
    if some then
      page.size = page.size + memory:size(some)
      page.parts[#page.parts + 1] = { memory = memory, page = some }
    end
  end
  return page
end

-- The page of memories in any order: of wanted[n] the part number and what page_of(memory, list) takes.
local function scattered(mixed, wanted, page_of)
  local lists, places = { {}, {} }, {}
  for n, one in ipairs(wanted) do
    local list = lists[one[1]]
    list[#list + 1] = one[2]
    places[n] = { one[1], #list }
  end
  local parts = {}
  for i, memory in ipairs({ mixed.older, mixed.newer }) do
    parts[i] = { memory = memory, page = page_of(memory, lists[i]) }
  end
  return { size = #wanted, parts = parts, places = places }
end

-- What `method` gives for each memory of a page, in its order.
local function each(page, method)
  local of_parts, all = {}, {}
  for i, part in ipairs(page.parts) do
    of_parts[i] = part.memory[method](part.memory, part.page)
  end
  if page.places then
    for n, place in ipairs(page.places) do
      all[n] = of_parts[place[1]][place[2]]
    end
    return all
  end
  for _, of_part in ipairs(of_parts) do
    for _, one in ipairs(of_part) do
      all[#all + 1] = one
    end
  end
  return all
end

function layout_mixed:count()
  return self.older:count() + self.newer:count()
end

function layout_mixed:newest(skip, limit, oldest_first)
  if oldest_first then
    local left = self:count() - skip
    return self:from_rank(math.max(0, left - limit), math.min(left, limit))
  end
  return in_order(self, limit, true, function(memory, left)
    local skipped = math.min(skip, memory:count())
    skip = skip - skipped
    return memory:newest(skipped, left)
  end)
end

function layout_mixed:oldest(limit)
  return in_order(self, limit, false, function(memory, left) return memory:oldest(left) end)
end

function layout_mixed:following(id, limit)
  return in_order(self, limit, false, function(memory, left) return memory:following(id, left) end)
end

function layout_mixed:preceding(id, limit)
  return in_order(self, limit, false, function(memory, left) return memory:preceding(id, left) end)
end

function layout_mixed:between(first, last, limit, newest_first)
  return in_order(self, limit, newest_first, function(memory, left)
    return memory:between(first, last, left, newest_first)
  end)
end

function layout_mixed:from_rank(first, limit)
  return in_order(self, limit, false, function(memory, left)
    local skipped = math.min(first, memory:count())
    first = first - skipped
    return memory:from_rank(skipped, left)
  end)
end

function layout_mixed:count_preceding(id)
  return self.older:count_preceding(id) + self.newer:count_preceding(id)
end

function layout_mixed:count_between(first, last)
  return self.older:count_between(first, last) + self.newer:count_between(first, last)
end

function layout_mixed:at_ranks(wanted)
  local older, places = self.older:count(), {}
  for n, rank in ipairs(wanted) do
    places[n] = rank < older and { 1, rank } or { 2, rank - older }
  end
  return scattered(self, places, function(memory, ranks) return memory:at_ranks(ranks) end)
end

function layout_mixed:at(ids)
  local last, places = boundary(self), {}
  for n, id in ipairs(ids) do
    places[n] = { tonumber(id) <= last and 1 or 2, id }
  end
  return scattered(self, places, function(memory, some) return memory:at(some) end)
end

function layout_mixed:size(page)
  return page.size
end

function layout_mixed:ids(page)
  return each(page, 'ids')
end

function layout_mixed:last(page)
  local ids = self:ids(page)
  return ids[#ids]
end

function layout_mixed:values(page)
  return each(page, 'values')
end

function layout_mixed:metadata(page)
  return each(page, 'metadata')
end

function layout_mixed:expiries(page)
  return each(page, 'expiries')
end

function layout_mixed:read(page)
  local ids, found_ids, values, gone = self:ids(page), {}, {}, {}
  for n, value in ipairs(self:values(page)) do
    if value then
      found_ids[#found_ids + 1], values[#values + 1] = ids[n], value
    else
      gone[#gone + 1] = ids[n]
    end
  end
  local found_page = #gone == 0 and page or self:at(found_ids)
  local runs = {}
  codec.add_runs(runs, values)
  return { ids = found_ids, page = found_page, runs = runs }, gone
end

function layout_mixed:without_value(page)
  local _, gone = self:read(page)
  return gone
end

function layout_mixed:indexed(ids)
  local is_known, known, others = {}, {}, {}
  split(self, ids, function(memory, some)
    for _, id in ipairs((memory:indexed(some))) do
      is_known[id] = true
    end
  end)
  for _, id in ipairs(ids) do
    local into = is_known[id] and known or others
    into[#into + 1] = id
  end
  return known, others
end

function layout_mixed:enter(ids)
  split(self, ids, function(memory, some) memory:enter(some) end)
end

function layout_mixed:usage(page)
  local values, metadata = 0, 0
  for _, part in ipairs(page.parts) do
    local of_values, of_metadata = part.memory:usage(part.page)
    values, metadata = values + of_values, metadata + of_metadata
  end
  return values, metadata
end

function layout_mixed:must_be_new(ids)
  self.older:must_be_new(ids)
  self.newer:must_be_new(ids)
end

-- Those of a list at some positions; an empty list stays one.
local function at_positions(list, positions)
  local some = {}
  for n, position in ipairs(positions) do
    some[n] = list[position]
  end
  return some
end

function layout_mixed:describe(plan)
  local described = {}
  split(self, plan.ids, function(memory, some, positions)
    local part = { ids = some, metadata = at_positions(plan.metadata, positions), documents = plan.documents }
    local ok, refusal = pcall(memory.describe, memory, part)
    if not ok then
      for _, one in ipairs(described) do
        one.memory:undescribe(one.part)
      end
      error(refusal, 0)
    end
    described[#described + 1] = { memory = memory, part = part }
  end)
end

function layout_mixed:undescribe(plan)
  split(self, plan.ids, function(memory, some)
    memory:undescribe({ ids = some, documents = plan.documents })
  end)
end

function layout_mixed:put(plan, first, last)
  local ids = {}
  for i = first, last do
    ids[#ids + 1] = plan.ids[i]
  end
  split(self, ids, function(memory, some, positions)
    for n, position in ipairs(positions) do
      positions[n] = first + position - 1
    end
    local codes = {}
    for n, position in ipairs(positions) do
      codes[n] = codec.value(plan.coded, position):sub(#plan.coded.header + 1)
    end
    local coded = { header = plan.coded.header, width = plan.coded.width, count = #some }
    coded.codes = table.concat(codes)
    local part = { ids = some, coded = coded, metadata = at_positions(plan.metadata, positions) }
    part.expiry, part.documents = plan.expiry, plan.documents
    memory:put(part, 1, #some)
  end)
end

function layout_mixed:replace(ids, coded)
  split(self, ids, function(memory, some, positions)
    local codes = {}
    for n, position in ipairs(positions) do
      codes[n] = codec.value(coded, position):sub(#coded.header + 1)
    end
    local of_part = { header = coded.header, width = coded.width, count = #some, codes = table.concat(codes) }
    memory:replace(some, of_part)
  end)
end

function layout_mixed:drop(ids)
  local dropped = 0
  split(self, ids, function(memory, some) dropped = dropped + memory:drop(some) end)
  return dropped
end

-- None is entered here, where it might come into the wrong part: that waits until all are in one.
function layout_mixed:strays(number)
  local packed = self.older.layout == 'packed' and self.older or self.newer
  local times, columns = packed:strays(number)
  return {}, #times > 0 and segments.columns(self, number) or columns
end

return layout_mixed
