#!lua flags=no-writes
--[[ Recalls memories of one agent by a range of timestamps, passing over those whose value Redis has evicted.
     KEYS[1] index zset. KEYS[2] agent memory_system.
     ARGV[1] first and ARGV[2] last timestamp, both included. ARGV[3] limit, from 1. ARGV[4] oldest or
     newest, which come first. ARGV[5] fields: both, states or metadata.
     Returns {timestamps, states FLOAT[B, input_dim] row after row, metadata, next, gone}; metadata are JSON
     texts or false, B is at most limit. A field that is not wanted is empty. `next` is the last timestamp
     looked at, after which to go on, or false where the range has no more. gone are the timestamps that were
     passed over, which are for drop_lost.lua.
     Errors MEMERR BADARG NOCODEC CORRUPT WRONGTYPE BADCODEC.
     Cost O(limit + log N) and one run of each decoder. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout_keys
-- @include recall

return errors.guard(function()
  local index, codec_key = KEYS[1], KEYS[2]
  arguments.key_type(index, 'zset')
  arguments.key_type(codec_key, 'ReJSON-RL')
  local first, last = timestamps.id(ARGV[1], 'start'), timestamps.id(ARGV[2], 'end')
  local limit = arguments.integer(ARGV[3], 'limit', 1, arguments.largest_batch)
  if ARGV[4] ~= 'oldest' and ARGV[4] ~= 'newest' then
    errors.refuse('BADARG', 'order is ' .. tostring(ARGV[4]) .. ', not oldest or newest')
  end
  local newest_first, fields = ARGV[4] == 'newest', recall.fields(ARGV[5])
  local page = layout.between(index, first, last, limit, newest_first)
  local ids, values, gone = {}, {}, {}
  recall.gather(index, page, ids, values, gone)
  local reply = recall.reply(index, codec_key, ids, values, fields)
  reply[4], reply[5] = #page == limit and page[#page], gone
  return reply
end)
