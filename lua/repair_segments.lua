#!lua flags=allow-oom
--[[ Enters the memories of segments, found by their keys, that the directory of one agent does not have, or drops
     them; the segments go in any case.
     KEYS[1] index. KEYS[2] agent metadata, where memories are entered.
     ARGV[1] numbers of segments, a JSON array of integers. ARGV[2] enter or drop.
     Returns {entered, removed}: memories that were entered, which counters.repaired counts, and segments that
     were removed.
     Errors MEMERR BADARG BADMETA WRONGTYPE.
     Cost O(segments of the agent + memories of those looked at). ]]
-- @include errors
-- @include arguments
-- @include layout
-- @include segments
-- @include strays
-- @include agents

-- A plan for memories of one kind, as segments.memories gives them.
local function plan_of(each, ids)
  local plan = { ids = ids, metadata = {}, expiries = {}, documents = each[1].documents }
  local codes = {}
  for i, one in ipairs(each) do
    plan.metadata[i], plan.expiries[i] = one.metadata or '', one.expiry or false
    codes[i] = one.codes
  end
  plan.coded = { header = each[1].header, width = each[1].width, count = #each, codes = table.concat(codes) }
  return plan
end

return errors.guard(function()
  local memory = layout.open_to_write(KEYS[1], 'packed')
  if ARGV[2] ~= 'enter' and ARGV[2] ~= 'drop' then
    errors.refuse('BADARG', 'what to do is ' .. tostring(ARGV[2]) .. ', neither enter nor drop')
  end
  local entered, removed = 0, 0
  strays.each(memory, ARGV[1], function(e, each, ids)
    if ids and #ids > 0 and ARGV[2] == 'enter' then
      local plan = plan_of(each, ids)
      if not plan.documents then -- those are there already
        memory:describe(ids, plan.metadata)
      end
      memory:put(plan, 1, #ids)
      entered = entered + #ids
    end
    segments.remove(memory, e)
    removed = removed + 1
  end)
  if entered > 0 then
    agents.count_up(KEYS[2], 'repaired', entered)
  end
  return { entered, removed }
end)
