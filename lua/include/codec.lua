-- States to the values that are stored, and back: the models run here, in the server, once for a whole batch.
--
-- A value is 1 byte format (the dtype of its codes), 2 bytes codec version (little endian), then the codes.
-- It names its own decoder, so that memories of several versions of a codec live side by side.
-- @include errors
-- @include arguments
local codec = {}

local HEADER_BYTES = 3
local FLOAT_BYTES = 4

-- The table of formats; a value once written keeps its number for ever.
local FORMATS = {
  { dtype = 'INT8', bytes = 1 },
  { dtype = 'UINT8', bytes = 1 },
  { dtype = 'INT16', bytes = 2 },
  { dtype = 'HALF', bytes = 2 },
  { dtype = 'BFLOAT16', bytes = 2 },
  { dtype = 'FLOAT', bytes = 4 },
}

-- Reads a codec configuration; adds what follows from it: text, format, code_bytes, value_bytes.
function codec.configuration(text, name)
  local config = arguments.json(text, name)
  for _, field in ipairs({ 'input_dim', 'codes', 'version' }) do
    arguments.integer(config[field], name .. ' ' .. field, 1, field == 'version' and 65535 or 2 ^ 20)
  end
  for number, format in ipairs(FORMATS) do
    if format.dtype == config.code_dtype then
      config.format, config.code_bytes = number, format.bytes
    end
  end
  if not config.format or type(config.name) ~= 'string' then
    errors.refuse('BADARG', name .. ' has no name, or a code_dtype that cannot be stored')
  end
  config.text = text
  config.value_bytes = HEADER_BYTES + config.codes * config.code_bytes
  return config
end

-- Runs one model over `rows` rows; returns the bytes of its output, or nil and the engine's error.
-- `routing` is a key of the agent: a cluster checks slots by it, the engine finds the model on this shard.
local function run(routing, model, dtype, rows, columns, blob)
  local reply = redis.pcall('AI.DAGEXECUTE_RO', 'ROUTING', routing,
    '|>', 'AI.TENSORSET', 'input', dtype, rows, columns, 'BLOB', blob,
    '|>', 'AI.MODELEXECUTE', model, 'INPUTS', 1, 'input', 'OUTPUTS', 1, 'output',
    '|>', 'AI.TENSORGET', 'output', 'BLOB')
  if reply.err then
    if reply.err:find('model key is empty', 1, true) then
      errors.refuse('NOCODEC', 'there is no model at ' .. model .. ' on this server')
    end
    error(reply.err, 0)
  end
  for _, answer in ipairs(reply) do
    if type(answer) == 'table' and answer.err then
      return nil, (answer.err:gsub('^ERR ', ''))
    end
  end
  return reply[3], reply.ok -- TIMEDOUT comes alone
end

-- How many states `blob` holds, FLOAT[B, input_dim] row after row.
function codec.rows(config, blob)
  local row_bytes = FLOAT_BYTES * config.input_dim
  if #blob % row_bytes ~= 0 then
    local text = 'states are %d bytes, not rows of %d floats'
    errors.refuse('BADARG', text:format(#blob, config.input_dim))
  end
  return arguments.integer(#blob / row_bytes, 'the number of states', 1, arguments.largest_batch)
end

-- Encodes the `rows` states in `blob` and returns their values.
function codec.encode(routing, config, blob, rows)
  local codes, problem = run(routing, config.encoder, 'FLOAT', rows, config.input_dim, blob)
  local width = config.codes * config.code_bytes
  if problem then
    local said = problem:match('builtins%.ValueError: (.*%S)') or problem -- without TorchScript's traceback
    local code = said:find('not finite', 1, true) and 'BADSTATE'
      or said:find('a state is out of range', 1, true) and 'BADRANGE' or 'BADCODEC'
    errors.refuse(code, config.encoder .. ': ' .. said)
  elseif #codes ~= rows * width then
    local text = '%s made %d bytes of %d states, not %d each'
    errors.refuse('BADCODEC', text:format(config.encoder, #codes, rows, width))
  end
  local header = struct.pack('<BH', config.format, config.version)
  local values = {}
  for i = 1, rows do
    values[i] = header .. codes:sub((i - 1) * width + 1, i * width)
  end
  return values
end

-- Sorts values by their header: a list of {version, format, codes = {…}, rows = {positions in values}}.
local function by_version(config, ids, values)
  local groups, group_of = {}, {}
  for i = 1, #values do
    local value = values[i]
    local header = value:sub(1, HEADER_BYTES)
    local group = group_of[header]
    if not group then
      local format = FORMATS[header:byte()]
      if not format or #value <= HEADER_BYTES or (#value - HEADER_BYTES) % format.bytes ~= 0 then
        errors.refuse('CORRUPT', 'the memory at ' .. ids[i] .. ' is not a known header and whole codes')
      end
      local version = struct.unpack('<H', header, 2)
      group = { version = version, format = format, size = #value, codes = {}, rows = {} }
      if version == config.version then
        group.size = config.value_bytes
      end
      group_of[header] = group
      groups[#groups + 1] = group
    end
    if #value ~= group.size then
      local text = 'the memory at %s is %d bytes, not %d'
      errors.refuse('CORRUPT', text:format(ids[i], #value, group.size))
    end
    group.codes[#group.codes + 1] = value:sub(HEADER_BYTES + 1)
    group.rows[#group.rows + 1] = i
  end
  return groups
end

-- Decodes values of any versions of one codec; returns FLOAT[B, input_dim], row after row, in their order.
function codec.decode(routing, config, ids, values)
  local width = FLOAT_BYTES * config.input_dim
  local states = {}
  for _, group in ipairs(by_version(config, ids, values)) do
    local decoder = string.format('memory_system:%s:v%d:decoder', config.name, group.version)
    local columns = (group.size - HEADER_BYTES) / group.format.bytes
    local codes = table.concat(group.codes)
    local blob, problem = run(routing, decoder, group.format.dtype, #group.rows, columns, codes)
    if problem then
      errors.refuse('CORRUPT', decoder .. ' cannot read the memories: ' .. problem)
    elseif #blob ~= #group.rows * width then
      local text = '%s made %d bytes of %d memories, not %d each'
      errors.refuse('BADCODEC', text:format(decoder, #blob, #group.rows, width))
    elseif #group.rows == #values then
      return blob
    end
    for i, row in ipairs(group.rows) do
      states[row] = blob:sub((i - 1) * width + 1, i * width)
    end
  end
  return table.concat(states)
end

return codec
