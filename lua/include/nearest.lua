-- The nearest of an agent's values to a state: a model and the distances run in one call of the engine.
-- @include errors
-- @include codec
local nearest = {}

local SCRIPT = 'memory_systems:nearest:v1' -- TorchScript; clients store it where this refuses with NOFUNCTION
local FLOAT_BYTES = 4
local NO_WEIGHTS = '\0\0\128\63' -- 1 as a FLOAT

-- Refuses what the engine has refused as a whole, or in one of the commands of the DAG.
local function check(reply, model)
  if reply.err and reply.err:find('script key is empty', 1, true) then
    errors.refuse('NOFUNCTION', 'there is no script at ' .. SCRIPT .. ' on this server')
  elseif reply.err then
    codec.refuse(model, reply.err)
  end
  for i, answer in ipairs(reply) do
    if type(answer) == 'table' and answer.err then
      local code = i == 5 and 'CORRUPT' or 'BADCODEC' -- the fifth runs the model on the codes
      errors.refuse(code, model .. ' cannot read the memories: ' .. answer.err:gsub('^ERR ', ''))
    end
  end
end

-- The nearest of one group of codec.by_decoder to `query`, FLOAT[1, W], as {distance, row in the group,
-- point}. `model` makes points, FLOAT[B, W], of the codes; `weights` are FLOAT[1, W] or FLOAT[1, 1].
local function of_group(routing, group, model, query, weights, k)
  -- The older form of a DAG: read-only scripts may call it, and unlike AI.DAGEXECUTE_RO it runs functions.
  local reply = redis.pcall('AI.DAGRUN_RO', 'ROUTING', routing,
    '|>', 'AI.TENSORSET', 'codes', group.dtype, group.count, group.columns, 'BLOB', group.codes,
    '|>', 'AI.TENSORSET', 'query', 'FLOAT', 1, #query / FLOAT_BYTES, 'BLOB', query,
    '|>', 'AI.TENSORSET', 'weights', 'FLOAT', 1, #weights / FLOAT_BYTES, 'BLOB', weights,
    '|>', 'AI.TENSORSET', 'k', 'INT64', 1, 'VALUES', k,
    '|>', 'AI.MODELRUN', model, 'INPUTS', 'codes', 'OUTPUTS', 'points',
    '|>', 'AI.SCRIPTRUN', SCRIPT, 'nearest', 'INPUTS', 'points', 'query', 'weights', 'k',
    'OUTPUTS', 'distances', 'rows', 'near',
    '|>', 'AI.TENSORGET', 'distances', 'BLOB',
    '|>', 'AI.TENSORGET', 'rows', 'BLOB',
    '|>', 'AI.TENSORGET', 'near', 'BLOB')
  check(reply, model)
  local found, width = {}, #query
  for i = 1, #reply[7] / FLOAT_BYTES do
    found[i] = {
      distance = struct.unpack('<f', reply[7], (i - 1) * FLOAT_BYTES + 1),
      row = struct.unpack('<i4', reply[8], (i - 1) * 4 + 1) + 1,
      point = reply[9]:sub((i - 1) * width + 1, i * width),
    }
  end
  return found
end

-- Up to k of the memories with these ids, as {distance, row = position in ids}, and their states FLOAT[B,
-- input_dim]: the nearest first, of equally near ones the one that comes first. `weights` are FLOAT[1,
-- input_dim] or ''.
function nearest.by_states(routing, config, ids, runs, state, weights, k)
  local found, states, groups = {}, {}, codec.by_decoder(config, ids, runs)
  local rows = codec.positions(groups, runs)
  weights = weights ~= '' and weights or NO_WEIGHTS
  for i, group in ipairs(groups) do
    for _, one in ipairs(of_group(routing, group, group.decoder, state, weights, k)) do
      one.row = rows[i][one.row]
      found[#found + 1] = one
    end
  end
  table.sort(found, function(a, b)
    return a.distance < b.distance or (a.distance == b.distance and a.row < b.row)
  end)
  for i = #found, k + 1, -1 do
    found[i] = nil
  end
  for i, one in ipairs(found) do
    states[i] = one.point
  end
  return found, table.concat(states)
end

-- The same by distance in the space of the agent's codec, that of its latents: the state is encoded, too. All
-- memories must be of that codec and version, since another's latents are in another space.
function nearest.by_latents(routing, config, ids, runs, state, k)
  local row = 1
  for _, run in ipairs(runs) do
    if not codec.made(config, run.header) then
      local text = 'the memory at %s is not of %s v%d, but of another space: re-encode it, or compare states'
      errors.refuse('OTHERCODEC', text:format(ids[row], config.name, config.version))
    end
    row = row + run.count
  end
  local model, format = codec.model_key(config.name, config.version, 'latents'), config.code_dtype
  local codes = codec.encode(routing, config, state, 1)
  local query, problem = codec.run(routing, model, format, 1, config.codes, codes)
  if problem then
    errors.refuse('BADCODEC', model .. ': ' .. problem)
  end
  local group = codec.by_decoder(config, ids, runs)[1]
  local found = of_group(routing, group, model, query, NO_WEIGHTS, k)
  local near_ids, near = {}, {}
  for i, one in ipairs(found) do
    near_ids[i], near[i] = ids[one.row], group.codes:sub((one.row - 1) * group.size + 1, one.row * group.size)
  end
  local run = { header = runs[1].header, size = group.size, count = #near, codes = table.concat(near) }
  return found, codec.decode(routing, config, near_ids, { run })
end

return nearest
