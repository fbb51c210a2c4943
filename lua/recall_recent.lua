#!lua flags=no-writes
--[[ Recalls the newest memories of one agent, passing over those whose value Redis has evicted.
     KEYS[1] index zset. KEYS[2] agent memory_system.
     ARGV[1] count, from 1. ARGV[2] fields: both, states or metadata; `both encoded` or `states encoded` where
     the caller decodes, `states encoded N` where it does from N memories on: no model runs, and in the place
     of states come {input_dim, groups…}, a group for each codec and version: {decoder, dtype of the codes,
     codes a memory, positions of its memories among the timestamps from 1 on, or false for all, codes row
     after row}. ARGV[3] newest or oldest, which of them
     come first; oldest is faster for many memories of a packed agent.
     Returns {timestamps, states FLOAT[B, input_dim] row after row, metadata, gone}; metadata are JSON
     texts or false, B is at most count. A field that is not wanted is empty. gone are the timestamps that
     were passed over, which are for drop_lost.lua.
     Errors MEMERR BADARG NOCODEC NOMODELS CORRUPT WRONGTYPE BADCODEC.
     Cost O(count + log N) and one run of each decoder. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include layout
-- @include recall

-- Where values are gone among the newest: finds as many more as are wanted, within bounds; returns all that
-- are found and all that are gone.
local function look_further(memory, count, oldest_first)
  local ids, gone, seen = {}, {}, 0
  repeat
    local page = memory:newest(seen, count - #ids)
    local found, lost = memory:read(page)
    for _, id in ipairs(timestamps.texts(found.ids)) do
      ids[#ids + 1] = id
    end
    for _, id in ipairs(lost) do
      gone[#gone + 1] = id
    end
    seen = seen + memory:size(page)
  until memory:size(page) == 0 or #ids == count or seen >= arguments.largest_batch
  if oldest_first then
    table.sort(ids, function(a, b) return tonumber(a) < tonumber(b) end)
  end
  return (memory:read(memory:at(ids))), gone
end

return errors.guard(function()
  local memory, codec_key = layout.open(KEYS[1]), KEYS[2]
  arguments.key_type(codec_key, 'ReJSON-RL')
  local count = arguments.integer(ARGV[1], 'count', 1, arguments.largest_batch)
  local fields, encoded_from = recall.fields(ARGV[2])
  if ARGV[3] ~= 'newest' and ARGV[3] ~= 'oldest' then
    errors.refuse('BADARG', 'order is ' .. tostring(ARGV[3]) .. ', not newest or oldest')
  end
  local oldest_first = ARGV[3] == 'oldest'
  local found, gone = memory:read(memory:newest(0, count, oldest_first))
  if #gone > 0 then
    found, gone = look_further(memory, count, oldest_first)
  end
  local reply = recall.reply(memory, codec_key, found, fields, encoded_from)
  reply[4] = gone
  return reply
end)
