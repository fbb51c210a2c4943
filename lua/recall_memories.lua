#!lua flags=no-writes
--[[ Recalls memories of one agent by their timestamps.
     KEYS[1] index zset. KEYS[2] agent memory_system.
     ARGV[1] timestamps, a JSON array of integers.
     ARGV[2] fields, as in recall_recent.lua. ARGV[3] error, or skip to pass over those that there are not.
     Returns in the order asked {timestamps, states FLOAT[B, input_dim] row after row, metadata, gone};
     metadata are JSON texts or false. A field that is not wanted is empty. gone are the timestamps that the
     index has and whose value is gone; they are for drop_lost.lua, as is that of the error LOST.
     Errors MEMERR BADARG NOTFOUND LOST NOCODEC NOMODELS CORRUPT WRONGTYPE BADCODEC.
     Cost O(B) and one run of each decoder. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout
-- @include recall

return errors.guard(function()
  local memory, codec_key = layout.open(KEYS[1]), KEYS[2]
  arguments.key_type(codec_key, 'ReJSON-RL')
  local ids = timestamps.parse(ARGV[1], 'timestamps')
  arguments.integer(#ids, 'the number of timestamps', 1, arguments.largest_batch)
  local fields, encoded_from = recall.fields(ARGV[2])
  if ARGV[3] ~= 'error' and ARGV[3] ~= 'skip' then
    errors.refuse('BADARG', 'missing is ' .. tostring(ARGV[3]) .. ', not error or skip')
  end
  local found, missing = memory:read(memory:at(ids))
  missing = timestamps.ids(missing, 'timestamps')
  local gone = memory:indexed(missing)
  if ARGV[3] == 'error' and missing[1] then
    local text = string.format('agent %s has no memory at %s', memory.agent, missing[1])
    if gone[1] == missing[1] then
      errors.refuse('LOST', text .. ': Redis evicted it, or it expired')
    end
    errors.refuse('NOTFOUND', text)
  end
  local reply = recall.reply(memory, codec_key, found, fields, encoded_from)
  reply[4] = gone
  return reply
end)
