#!lua flags=no-writes
--[[ Recalls the newest memories of one agent, newest first, passing over those whose value Redis has evicted.
     KEYS[1] index zset. KEYS[2] agent memory_system.
     ARGV[1] count, from 1. ARGV[2] fields: both, states or metadata.
     Returns {timestamps, states FLOAT[B, input_dim] row after row, metadata, gone}; metadata are JSON
     texts or false, B is at most count. A field that is not wanted is empty. gone are the timestamps that
     were passed over, which are for drop_lost.lua.
     Errors MEMERR BADARG NOCODEC CORRUPT WRONGTYPE BADCODEC.
     Cost O(count + log N) and one run of each decoder. ]]
-- @include errors
-- @include arguments
-- @include layout_keys
-- @include recall

return errors.guard(function()
  local index, codec_key = KEYS[1], KEYS[2]
  arguments.key_type(index, 'zset')
  arguments.key_type(codec_key, 'ReJSON-RL')
  local count = arguments.integer(ARGV[1], 'count', 1, arguments.largest_batch)
  local fields = recall.fields(ARGV[2])
  local ids, values, gone, seen = {}, {}, {}, 0
  repeat
    local page = layout.newest(index, seen, count - #ids)
    recall.gather(index, page, ids, values, gone)
    seen = seen + #page
  until #page == 0 or #ids == count or seen >= arguments.largest_batch
  local reply = recall.reply(index, codec_key, ids, values, fields)
  reply[4] = gone
  return reply
end)
