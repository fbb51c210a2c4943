#!lua flags=allow-oom
--[[ Drops what is left of memories of one agent whose value is gone, as recalls find them. The others
     stay; repeated, it does nothing.
     KEYS[1] index zset. KEYS[2] agent metadata.
     ARGV[1] timestamps, a JSON array of integers.
     Returns how many the index had; counters.lost counts them, or counters.trimmed where memories expire.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(B log N). ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include memories
-- @include layout
-- @include agents

return errors.guard(function()
  local memory, agent_key = layout.open_to_write(KEYS[1]), KEYS[2]
  arguments.key_type(agent_key, 'ReJSON-RL')
  local ids = timestamps.parse(ARGV[1], 'timestamps')
  arguments.integer(#ids, 'the number of timestamps', 1, arguments.largest_batch)
  local _, gone = memory:read(memory:at(ids))
  local lost = memories.drop(memory, timestamps.texts(gone))
  agents.count_gone(agent_key, lost)
  return lost
end)
