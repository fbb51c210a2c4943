#!lua
--[[ Writes those of an agent's two documents again that Redis has evicted, as its next store would; what is
     there stays as it is.
     KEYS[1] index zset. KEYS[2] agent metadata. KEYS[3] agent memory_system.
     ARGV[1] codec configuration, as for store_memories.lua, of the agent's own codec. ARGV[2] feature groups,
     as there. ARGV[3] policy for an agent's metadata that are written again.
     Returns how many documents were written.
     Errors MEMERR BADARG NOCODEC OTHERCODEC WRONGTYPE.
     Cost O(1). ]]
-- @include errors
-- @include arguments
-- @include codec
-- @include policy
-- @include layout
-- @include agents

return errors.guard(function()
  local memory, agent_key, codec_key = layout.open(KEYS[1]), KEYS[2], KEYS[3]
  arguments.key_type(agent_key, 'ReJSON-RL')
  arguments.key_type(codec_key, 'ReJSON-RL')
  local config = codec.configuration(ARGV[1], 'codec configuration')
  local kept = policy.parse(ARGV[3])
  local updates = agents.restoration(memory, agent_key, codec_key, config, ARGV[2], kept)
  for _, update in ipairs(updates) do
    redis.call(unpack(update))
  end
  return #updates
end)
