#!lua flags=no-writes
--[[ Recalls memories of one agent by their timestamps.
     KEYS[1] index zset. KEYS[2] agent memory_system.
     ARGV[1] timestamps, a JSON array of integers.
     Returns in the order asked {timestamps, states FLOAT[B, input_dim] row after row, metadata}; metadata are
     JSON texts or false.
     Errors MEMERR BADARG NOTFOUND NOCODEC CORRUPT WRONGTYPE BADCODEC.
     Cost O(B) and one run of each decoder. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout_keys
-- @include recall

return errors.guard(function()
  local index, codec_key = KEYS[1], KEYS[2]
  arguments.key_type(index, 'zset')
  arguments.key_type(codec_key, 'ReJSON-RL')
  local ids = timestamps.parse(ARGV[1], 'timestamps')
  arguments.integer(#ids, 'the number of timestamps', 1, arguments.largest_batch)
  local values = layout.get(index, ids)
  for i, value in ipairs(values) do
    if not value then
      errors.refuse('NOTFOUND', string.format('agent %s has no memory at %s', layout.agent(index), ids[i]))
    end
  end
  return recall.reply(index, codec_key, ids, values)
end)
