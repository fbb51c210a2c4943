#!lua
--[[ Makes a codec the agent's own: from now on its memories are stored with this one. Those that it has stay
     as they are and are decoded each by its own codec; re_encode_memories.lua moves them. A codec that does
     not work on this server, or takes other states, is refused.
     KEYS[1] index zset. KEYS[2] agent metadata. KEYS[3] agent memory_system.
     ARGV[1] codec configuration, as for store_memories.lua. ARGV[2] feature groups, as there.
     Returns the codec's generation, by which values say that they are of it.
     Errors MEMERR BADARG NOCODEC NOMODELS OTHERCODEC WRONGTYPE BADCODEC CORRUPT BADSTATE BADRANGE.
     Cost O(1) and one run of encoder and decoder. ]]
-- @include errors
-- @include arguments
-- @include codec
-- @include layout
-- @include agents

return errors.guard(function()
  local memory, agent_key, codec_key = layout.open(KEYS[1]), KEYS[2], KEYS[3]
  arguments.key_type(agent_key, 'ReJSON-RL')
  arguments.key_type(codec_key, 'ReJSON-RL')
  local config = codec.configuration(ARGV[1], 'codec configuration')
  codec.of_agent(codec_key) -- an agent that never stored has nothing to switch from
  codec.must_work(memory.index, config)
  for _, update in ipairs(agents.switch(memory, agent_key, codec_key, config, ARGV[2])) do
    redis.call(unpack(update))
  end
  return config.generation
end)
