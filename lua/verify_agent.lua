#!lua flags=no-writes
--[[ Says which keys of one agent, beside its memories, are wrong: of another type than they must be, or a
     document that is missing, or does not say what it must, though there are memories.
     KEYS[1] index zset. KEYS[2] agent metadata. KEYS[3] agent memory_system.
     ARGV[1] names of the agent's other keys and the types that they must have, a JSON array of pairs.
     Returns {wrong, total}: names of keys; the total that the sizes state, or false without sizes.
     Errors MEMERR BADARG.
     Cost O(1). ]]
-- @include errors
-- @include arguments
-- @include codec
-- @include layout
-- @include companions
-- @include agents

local function has_type(key, wanted)
  return (pcall(arguments.key_type, key, wanted))
end

return errors.guard(function()
  local index, agent_key, codec_key = KEYS[1], KEYS[2], KEYS[3]
  local others, wrong = arguments.json(ARGV[1], 'keys'), {}
  for _, one in ipairs(others) do
    if not has_type(one[1], one[2]) then
      wrong[#wrong + 1] = one[1]
    end
  end
  local opened, memory = pcall(layout.open, index)
  if not opened then
    wrong[#wrong + 1] = index
  elseif memory:count() > 0 then
    if not has_type(agent_key, 'ReJSON-RL') or not agents.policy(agent_key) then
      wrong[#wrong + 1] = agent_key
    end
    if not has_type(codec_key, 'ReJSON-RL') or not pcall(codec.of_agent, codec_key) then
      wrong[#wrong + 1] = codec_key
    end
  end
  return { wrong, companions.stated_total(index) }
end)
