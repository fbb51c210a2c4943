-- The nearest of an agent's values to a state: decoder and distances run in one call of the engine.
-- @include errors
-- @include codec
local nearest = {}

local SCRIPT = 'memory_system:nearest' -- TorchScript that clients store where this refuses with NOFUNCTION
local FLOAT_BYTES = 4

-- The nearest of one group of codec.by_decoder, as {distance, row, state}.
local function of_group(routing, config, group, query, k)
  local columns = #group.codes[1] / group.format.bytes
  local codes = table.concat(group.codes)
  -- The older form of a DAG: read-only scripts may call it, and unlike AI.DAGEXECUTE_RO it runs functions.
  local reply = redis.pcall('AI.DAGRUN_RO', 'ROUTING', routing,
    '|>', 'AI.TENSORSET', 'codes', group.format.dtype, #group.rows, columns, 'BLOB', codes,
    '|>', 'AI.TENSORSET', 'query', 'FLOAT', 1, config.input_dim, 'BLOB', query,
    '|>', 'AI.TENSORSET', 'k', 'INT64', 1, 'VALUES', k,
    '|>', 'AI.MODELRUN', group.decoder, 'INPUTS', 'codes', 'OUTPUTS', 'states',
    '|>', 'AI.SCRIPTRUN', SCRIPT, 'nearest', 'INPUTS', 'states', 'query', 'k', 'OUTPUTS', 'd', 'rows', 'near',
    '|>', 'AI.TENSORGET', 'd', 'BLOB',
    '|>', 'AI.TENSORGET', 'rows', 'BLOB',
    '|>', 'AI.TENSORGET', 'near', 'BLOB')
  if reply.err and reply.err:find('script key is empty', 1, true) then
    errors.refuse('NOFUNCTION', 'there is no script at ' .. SCRIPT .. ' on this server')
  elseif reply.err then
    codec.refuse(group.decoder, reply.err)
  end
  for i, answer in ipairs(reply) do
    if type(answer) == 'table' and answer.err then
      local code = i == 4 and 'CORRUPT' or 'BADCODEC'
      errors.refuse(code, group.decoder .. ' cannot read the memories: ' .. answer.err:gsub('^ERR ', ''))
    end
  end
  local found, width = {}, FLOAT_BYTES * config.input_dim
  for i = 1, #reply[6] / FLOAT_BYTES do
    found[i] = {
      distance = struct.unpack('<f', reply[6], (i - 1) * FLOAT_BYTES + 1),
      row = group.rows[struct.unpack('<i4', reply[7], (i - 1) * 4 + 1) + 1],
      state = reply[8]:sub((i - 1) * width + 1, i * width),
    }
  end
  return found
end

-- Up to k of `values`, as {distance, row = position in values, state}: the nearest first, of equally near
-- ones the one that comes first in `values`.
function nearest.find(routing, config, ids, values, query, k)
  local found = {}
  for _, group in ipairs(codec.by_decoder(config, ids, values)) do
    for _, one in ipairs(of_group(routing, config, group, query, k)) do
      found[#found + 1] = one
    end
  end
  table.sort(found, function(a, b)
    return a.distance < b.distance or (a.distance == b.distance and a.row < b.row)
  end)
  for i = #found, k + 1, -1 do
    found[i] = nil
  end
  return found
end

return nearest
