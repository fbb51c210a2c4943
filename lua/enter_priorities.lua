#!lua
--[[ Gives memories of one agent that have no priority the largest that another of them has, newest first: one
     step of a pass, whose caller goes on until no cursor comes back. It ends early where all have one.
     Priorities without memories, as are left where Redis has evicted the index, are all forgotten first.
     KEYS[1] index zset.
     ARGV[1] cursor that the step before returned; empty text to begin. ARGV[2] step, how many memories to
     look at.
     Returns {cursor or false, entered}.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(step log N). ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout
-- @include priorities

return errors.guard(function()
  local memory, index = layout.open(KEYS[1]), KEYS[1]
  priorities.must_fit(index)
  local cursor = ARGV[1] ~= '' and arguments.integer(ARGV[1], 'cursor', 0, timestamps.largest)
  local step = arguments.integer(ARGV[2], 'step', 1, arguments.largest_batch)
  local count = memory:count()
  if priorities.count(index) > count then
    priorities.clear(index)
  end
  local last = string.format('%.0f', cursor and cursor - 1 or timestamps.largest)
  local page = memory:between('0', last, step, true)
  local ids, size = memory:ids(page), memory:size(page)
  local entered = priorities.enter(index, ids, 1, #ids)
  local at_the_end = size < step or priorities.count(index) == count
  return { not at_the_end and memory:last(page), entered }
end)
