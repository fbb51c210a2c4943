#!lua
--[[ Stores a batch of states of one agent: encodes them, writes values, index and documents, then trims. Of
     states that come encoded it makes the same, and runs no model. What can be refused is refused before
     anything is written; at maxmemory Redis refuses the script as a whole.
     KEYS[1] index zset. KEYS[2] agent metadata. KEYS[3] agent memory_system.
     ARGV[1] codec configuration, JSON object: name, version, input_dim, codes, code_dtype, encoder, decoder.
     ARGV[2] feature groups, a JSON array of objects: name, features, codes. ARGV[3] policy, a JSON
     object: retention, ttl_ms where memories expire, stream_entries where the agent has a stream, priorities
     true where each memory gets a priority.
     ARGV[4] states FLOAT[B, input_dim], little endian, row after row; or what the encoder made of them.
     ARGV[5] form of ARGV[4]: the text states, or the dtype of the codes.
     ARGV[6] timestamps, a JSON array of B integers; empty text lets the server give them.
     ARGV[7] token: text without blanks that no other store has; where this may be a repetition, then a blank
     and how many milliseconds ago the first was sent; empty text for a store that is never repeated.
     ARGV[8…] metadata: none at all, or B of them, each a JSON object or empty text.
     Returns the first timestamp; those that the server gives count up from it by one. A repetition of a store
     that was done returns what that returned and stores nothing.
     Errors MEMERR BADARG BADSTATE BADRANGE BADSHAPE BADMETA BADORDER EXISTS NOCODEC NOMODELS OTHERCODEC
     WRONGTYPE BADCODEC UNSURE.
     Cost O(B log N) and one run of the encoder. Up to B + 1,000 memories are dropped, and as many entered in
     a companion that lacks them. ]]
-- @include errors
-- @include timestamps
-- @include codec
-- @include policy
-- @include tokens
-- @include store

return errors.guard(function()
  local index = KEYS[1]
  local token, done = tokens.find(index, ARGV[7])
  if done then
    return done
  end
  local config = codec.configuration(ARGV[1], 'codec configuration')
  local plan = store.plan(index, KEYS[2], KEYS[3], config, ARGV[2], policy.parse(ARGV[3]))
  local states, form = ARGV[4], ARGV[5]
  local batch = codec.rows(config, form, states)
  plan.coded = codec.coded(config, codec.codes(index, config, form, states, batch))
  store.number(plan, batch, ARGV[6] ~= '' and timestamps.parse(ARGV[6], 'timestamps') or nil)
  plan.metadata = {}
  for i = 8, #ARGV do
    plan.metadata[i - 7] = ARGV[i]
  end
  return store.carry_out({ plan }, token)[1]
end)
