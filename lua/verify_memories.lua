#!lua flags=no-writes
--[[ Looks for what is wrong with the memories that the index of one agent has: one step of a pass, oldest
     first, whose caller goes on until no cursor comes back.
     KEYS[1] index zset. KEYS[2] agent metadata. KEYS[3] agent memory_system.
     ARGV[1] cursor that the step before returned; empty text to begin. ARGV[2] step, how many memories to
     look at.
     Returns {cursor or false after the last memory, looked at, without value, corrupt, undecodable,
     lacking, lost}, four lists of timestamps and how many have no value: of those whose timestamps are gone
     as well, some have one between them. Undecodable are those of which cannot be told whether they are
     corrupt, as their decoder is missing or fails, or memory_system is missing; lacking those that are not,
     or otherwise, in the companion of the agent's retention.
     Errors MEMERR BADARG NOMODELS WRONGTYPE.
     Cost O(step + log N) and one run of each decoder. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include codec
-- @include layout
-- @include mending

return errors.guard(function()
  local memory, agent_key, codec_key = layout.open(KEYS[1]), KEYS[2], KEYS[3]
  arguments.key_type(agent_key, 'ReJSON-RL')
  arguments.key_type(codec_key, 'ReJSON-RL')
  local cursor = ARGV[1] ~= '' and timestamps.id(ARGV[1], 'cursor') or nil
  local step = arguments.integer(ARGV[2], 'step', 1, arguments.largest_batch)
  local page = memory:following(cursor, step)
  local found, gone = memory:read(page)
  local corrupt, undecodable = mending.examine(memory, codec_key, found)
  local rule, companion = mending.companion(memory.index, agent_key)
  local lacking, size = {}, memory:size(page)
  if companion then
    local ids, numbers = memory:ids(found.page), mending.numbers(rule, companion, memory, found.page)
    lacking = companion.lacking(memory.index, ids, numbers)
  end
  local last = size == step and memory:last(page)
  -- Memories whose timestamps are gone are passed together, be it beyond the step.
  local looked = last and memory:count_between(cursor and cursor + 1 or 0, last) or size
  return { last, looked, gone, corrupt, undecodable, lacking, looked - #found.ids }
end)
