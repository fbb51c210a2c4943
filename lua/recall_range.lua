#!lua flags=no-writes
--[[ Recalls memories of one agent by a range of timestamps, passing over those whose value Redis has evicted.
     KEYS[1] index zset. KEYS[2] agent memory_system.
     ARGV[1] first and ARGV[2] last timestamp, both included. ARGV[3] limit, from 1. ARGV[4] oldest or
     newest, which come first. ARGV[5] fields, as in recall_recent.lua.
     Returns {timestamps, states FLOAT[B, input_dim] row after row, metadata, next, gone}; metadata are JSON
     texts or false, B is at most limit. A field that is not wanted is empty. `next` is the last timestamp
     looked at, after which to go on, or false where the range has no more. gone are the timestamps that were
     passed over, which are for drop_lost.lua.
     Errors MEMERR BADARG NOCODEC NOMODELS CORRUPT WRONGTYPE BADCODEC.
     Cost O(limit + log N) and one run of each decoder. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout
-- @include recall

return errors.guard(function()
  local memory, codec_key = layout.open(KEYS[1]), KEYS[2]
  arguments.key_type(codec_key, 'ReJSON-RL')
  local first, last = timestamps.id(ARGV[1], 'start'), timestamps.id(ARGV[2], 'end')
  local limit = arguments.integer(ARGV[3], 'limit', 1, arguments.largest_batch)
  if ARGV[4] ~= 'oldest' and ARGV[4] ~= 'newest' then
    errors.refuse('BADARG', 'order is ' .. tostring(ARGV[4]) .. ', not oldest or newest')
  end
  local newest_first = ARGV[4] == 'newest'
  local fields, encoded_from = recall.fields(ARGV[5])
  local page = memory:between(first, last, limit, newest_first)
  local found, gone = memory:read(page)
  local reply = recall.reply(memory, codec_key, found, fields, encoded_from)
  reply[4], reply[5] = memory:size(page) == limit and memory:last(page), gone
  return reply
end)
