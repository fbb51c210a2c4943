#!lua flags=allow-oom
--[[ Deletes the oldest memories of one agent, a bounded step, and its documents once none is left.
     KEYS[1] index zset. KEYS[2] agent metadata. KEYS[3] agent memory_system.
     ARGV[1] step, how many memories to delete. ARGV[2] keep to leave the documents, drop to delete them.
     Returns {deleted, left in the index}.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(step log N). ]]
-- @include errors
-- @include arguments
-- @include layout
-- @include memories

return errors.guard(function()
  local memory = layout.open_to_write(KEYS[1])
  local step = arguments.integer(ARGV[1], 'step', 1, arguments.largest_batch)
  if ARGV[2] ~= 'keep' and ARGV[2] ~= 'drop' then
    errors.refuse('BADARG', 'documents is ' .. tostring(ARGV[2]) .. ', neither keep nor drop')
  end
  local before = memory:count()
  memories.drop(memory, memory:ids(memory:oldest(step)))
  local left = memory:count()
  if left == 0 and ARGV[2] == 'drop' then
    memories.forget(memory)
    redis.call('UNLINK', KEYS[2], KEYS[3])
  end
  return { before - left, left }
end)
