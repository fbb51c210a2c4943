#!lua
--[[ Stores a batch of states of one agent: encodes them, writes values, index and documents, then trims. What
     can be refused is refused before anything is written; at maxmemory Redis refuses the script as a whole.
     KEYS[1] index zset. KEYS[2] agent metadata. KEYS[3] agent memory_system.
     ARGV[1] codec configuration, JSON object: name, version, input_dim, codes, code_dtype, encoder, decoder.
     ARGV[2] feature groups, a JSON array of objects: name, features, codes. ARGV[3] policy, a JSON
     object: retention, ttl_ms where memories expire, priorities true where each gets a priority.
     ARGV[4] states FLOAT[B, input_dim], little endian, row after row.
     ARGV[5] timestamps, a JSON array of B integers; empty text lets the server give them.
     ARGV[6] token: text without blanks that no other store has; where this may be a repetition, then a blank
     and how many milliseconds ago the first was sent; empty text for a store that is never repeated.
     ARGV[7…] metadata: none at all, or B of them, each a JSON object or empty text.
     Returns the first timestamp; those that the server gives count up from it by one. A repetition of a store
     that was done returns what that returned and stores nothing.
     Errors MEMERR BADARG BADSTATE BADRANGE BADSHAPE BADMETA EXISTS NOCODEC OTHERCODEC WRONGTYPE BADCODEC
     UNSURE.
     Cost O(B log N) and one run of the encoder. Up to B + 1,000 memories are dropped, and as many entered in
     a companion that lacks them. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include codec
-- @include layout_keys
-- @include policy
-- @include companions when used
-- @include priorities when used
-- @include memories
-- @include trim
-- @include agents
-- @include tokens

return errors.guard(function()
  local index, agent_key, codec_key = KEYS[1], KEYS[2], KEYS[3]
  arguments.key_type(index, 'zset')
  arguments.key_type(agent_key, 'ReJSON-RL')
  arguments.key_type(codec_key, 'ReJSON-RL')
  local token, done = tokens.find(index, ARGV[6])
  if done then
    return done
  end
  local config = codec.configuration(ARGV[1], 'codec configuration')
  local kept = policy.parse(ARGV[3])
  local count = layout.count(index)
  local updates = agents.updates(index, agent_key, codec_key, config, ARGV[2], kept, count)

  local batch = codec.rows(config, ARGV[4])
  local values = codec.encode(index, config, ARGV[4], batch)
  local ids
  if ARGV[5] == '' then
    ids = timestamps.following(layout.newest(index, 0, 1)[1], batch) -- after the newest all are new
  else
    ids = timestamps.parse(ARGV[5], 'timestamps')
    layout.must_be_new(index, ids)
  end
  local metadata = {}
  for i = 7, #ARGV do
    metadata[#metadata + 1] = ARGV[i]
  end
  if #ids ~= batch or (#metadata ~= 0 and #metadata ~= batch) then
    local text = '%d states have %d timestamps and %d metadata'
    errors.refuse('BADARG', text:format(batch, #ids, #metadata))
  end

  local companion = kept.has_companion and companions.must_fit(kept.retention, index)
  local numbers = companion and companion.numbers(kept.retention, values, metadata, batch)
  if kept.priorities then
    priorities.must_fit(index)
  end
  local expiry = kept.ttl_ms and string.format('%.0f', timestamps.now() + kept.ttl_ms)

  layout.describe(index, ids, metadata)
  for _, update in ipairs(updates) do
    redis.call(unpack(update))
  end
  local coming = ARGV[5] ~= '' and numbers or nil
  local task = trim.task(kept, index, agent_key, count, batch + trim.spare, coming)
  local stored = 0
  while stored < batch do
    -- As many as fit and the one that is too many: a batch ends as single stores of it would.
    local some = math.min(batch - stored, trim.room(task))
    memories.add(index, ids, values, stored + 1, stored + some, companion, numbers, expiry, kept.priorities)
    trim.after_adding(task, some)
    stored = stored + some
  end
  agents.add_to_counters(agent_key, stored, task.dropped)
  tokens.keep(index, token, ids[1])
  return tonumber(ids[1])
end)
