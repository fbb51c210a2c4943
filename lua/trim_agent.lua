#!lua flags=allow-oom
--[[ Drops what the policy does not keep that an agent's document states: what stores left over, or what has
     expired since. It drops, or looks at, up to `limit` memories: the caller goes on while some are left.
     KEYS[1] index zset. KEYS[2] agent metadata.
     ARGV[1] limit.
     Returns {dropped, left}; left is how many memories still have to go, or to be looked at to know.
     Errors MEMERR BADARG NOTFOUND WRONGTYPE.
     Cost O(limit log N). ]]
-- @include errors
-- @include arguments
-- @include layout
-- @include policy
-- @include companions
-- @include trim
-- @include agents

return errors.guard(function()
  local memory, agent_key = layout.open_to_write(KEYS[1]), KEYS[2]
  arguments.key_type(agent_key, 'ReJSON-RL')
  local limit = arguments.integer(ARGV[1], 'limit', 1, arguments.largest_batch)
  local text, count = agents.policy(agent_key), memory:count()
  if not text and count == 0 then
    return { 0, 0 }
  elseif not text then
    errors.refuse('NOTFOUND', 'there is no policy in ' .. agent_key .. ' to say what is kept')
  end
  local kept = policy.parse(text)
  if kept.has_companion then
    companions.must_fit(kept.retention, memory.index)
  end
  local task = trim.task(kept, memory, agent_key, count, limit)
  local left = trim.now(task)
  agents.add_to_counters(agent_key, 0, task.dropped)
  return { task.dropped, left }
end)
