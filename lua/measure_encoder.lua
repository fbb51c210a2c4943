#!lua flags=no-writes
--[[ Says what a call of an encoder takes, and whether models run inside scripts on this server at all, so
     that a client can choose where its states are encoded.
     KEYS[1] encoder.
     ARGV[1] input_dim.
     Returns {device, microseconds}: the mean of the calls so far, as the engine has counted them; on a
     processor, where those are few, the fastest of four runs on one state of zeros.
     Errors MEMERR BADARG NOCODEC NOMODELS.
     Cost O(1) and up to four runs of the encoder. ]]
-- @include arguments
-- @include errors
-- @include codec

local ENOUGH_CALLS = 64 -- the first two, in which TorchScript prepares the model, are forgotten by then
local RUNS = 4 -- two that may prepare it, and one more that others may have kept from the processor

local function info(encoder)
  local reply = redis.pcall('AI.INFO', encoder)
  if reply.err then
    codec.refuse(encoder, reply.err)
  end
  local found = {}
  for i = 1, #reply, 2 do
    found[reply[i]] = reply[i + 1]
  end
  return found
end

-- The fastest of some runs; what the encoder makes of zeros, an error perhaps, is no matter here.
local function microseconds(encoder, input_dim, before)
  local zeros = string.rep('\0', 4 * input_dim)
  local fastest = math.huge
  for _ = 1, RUNS do
    codec.run(encoder, encoder, 'FLOAT', 1, input_dim, zeros)
    local after = info(encoder)
    fastest = math.min(fastest, after.duration - before.duration)
    before = after
  end
  return fastest
end

return errors.guard(function()
  local encoder = KEYS[1]
  local input_dim = arguments.integer(ARGV[1], 'input_dim', 1, 2 ^ 20)
  local before = info(encoder)
  -- The engine of another server may answer that, and yet run nothing inside scripts.
  local trial = redis.pcall('AI.DAGEXECUTE_RO', 'ROUTING', encoder, '|>', 'AI.TENSORSET', 'trial', 'FLOAT', 1)
  if trial.err then
    codec.refuse(encoder, trial.err)
  elseif before.calls >= ENOUGH_CALLS or not before.device:find('^CPU') then
    return { before.device, math.floor(before.duration / math.max(before.calls, 1)) }
  end
  return { before.device, microseconds(encoder, input_dim, before) }
end)
