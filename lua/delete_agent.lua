#!lua flags=allow-oom
--[[ Deletes the oldest memories of one agent, a bounded step, and its documents once none is left.
     KEYS[1] index zset. KEYS[2] agent metadata. KEYS[3] agent memory_system.
     ARGV[1] step, how many memories to delete. ARGV[2] keep to leave the documents, drop to delete them.
     Returns {deleted, left in the index}.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(step log N). ]]
-- @include errors
-- @include arguments
-- @include layout_keys
-- @include memories

return errors.guard(function()
  local index = KEYS[1]
  arguments.key_type(index, 'zset')
  local step = arguments.integer(ARGV[1], 'step', 1, arguments.largest_batch)
  if ARGV[2] ~= 'keep' and ARGV[2] ~= 'drop' then
    errors.refuse('BADARG', 'documents is ' .. tostring(ARGV[2]) .. ', neither keep nor drop')
  end
  local ids = layout.oldest(index, step)
  memories.drop(index, ids)
  local left = layout.count(index)
  if left == 0 and ARGV[2] == 'drop' then
    memories.forget(index)
    redis.call('UNLINK', KEYS[2], KEYS[3])
  end
  return { #ids, left }
end)
