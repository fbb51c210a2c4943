#!lua flags=no-writes
--[[ Decodes values that a client has, such as those of an agent's stream, or says how to.
     KEYS[1] agent memory_system.
     ARGV[1] timestamps of the values, a JSON array of integers, for what errors say.
     ARGV[2] names of the codecs that made them, a JSON array of texts; empty text for what the agent's
     memory_system says of the value's generation.
     ARGV[3] states, or encoded. ARGV[4…] values: header and codes.
     Returns the states FLOAT[B, input_dim], row after row; encoded, as in recall_recent.lua.
     Errors MEMERR BADARG NOCODEC NOMODELS CORRUPT WRONGTYPE BADCODEC.
     Cost O(B) and one run of each decoder. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include codec

return errors.guard(function()
  local codec_key = KEYS[1]
  arguments.key_type(codec_key, 'ReJSON-RL')
  local ids = timestamps.parse(ARGV[1], 'timestamps')
  local names = arguments.json(ARGV[2], 'codecs')
  local values = {}
  for i = 4, #ARGV do
    values[#values + 1] = ARGV[i]
  end
  arguments.integer(#values, 'the number of values', 1, arguments.largest_batch)
  if #ids ~= #values or #names ~= #values then
    local text = '%d values have %d timestamps and %d codecs'
    errors.refuse('BADARG', text:format(#values, #ids, #names))
  end
  local config, runs = codec.of_agent(codec_key), {}
  codec.add_runs(runs, values, names)
  if ARGV[3] == 'encoded' then
    return codec.encoded(config, ids, runs)
  elseif ARGV[3] ~= 'states' then
    errors.refuse('BADARG', 'what to return is ' .. tostring(ARGV[3]) .. ', not states or encoded')
  end
  return codec.decode(codec_key, config, ids, runs)
end)
