#!lua
--[[ Stores a batch of states of one agent: encodes them, writes values, index and documents, then trims. What
     can be refused is refused before anything is written; at maxmemory Redis refuses the script as a whole.
     KEYS[1] index zset. KEYS[2] agent metadata. KEYS[3] agent memory_system.
     ARGV[1] codec configuration, JSON object: name, version, input_dim, codes, code_dtype, encoder, decoder.
     ARGV[2] feature groups, a JSON array of objects: name, features, codes. ARGV[3] policy, a JSON
     object: retention, and stream_entries where the agent has a stream.
     ARGV[4] states FLOAT[B, input_dim], little endian, row after row.
     ARGV[5] timestamps, a JSON array of B integers; empty text lets the server give them.
     ARGV[6…] metadata: none at all, or B of them, each a JSON object or empty text.
     Returns the first timestamp; those that the server gives count up from it by one.
     Errors MEMERR BADARG BADSTATE BADRANGE BADSHAPE BADMETA BADORDER EXISTS NOCODEC OTHERCODEC WRONGTYPE
     BADCODEC.
     Cost O(B log N) and one run of the encoder. ]]
-- @include errors
-- @include timestamps
-- @include codec
-- @include policy
-- @include store

return errors.guard(function()
  local config = codec.configuration(ARGV[1], 'codec configuration')
  local plan = store.plan(KEYS[1], KEYS[2], KEYS[3], config, ARGV[2], policy.parse(ARGV[3]))
  local batch = codec.rows(config, ARGV[4])
  plan.values = codec.values(config, codec.encode(KEYS[1], config, ARGV[4], batch), 1, batch)
  store.number(plan, batch, ARGV[5] ~= '' and timestamps.parse(ARGV[5], 'timestamps') or nil)
  plan.metadata = {}
  for i = 6, #ARGV do
    plan.metadata[i - 5] = ARGV[i]
  end
  return store.carry_out({ plan })[1]
end)
