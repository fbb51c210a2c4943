-- States to the values that are stored, and back: the models run here, in the server, once for a whole batch.
--
-- A value is 1 byte format, 2 bytes codec version (little endian), then the codes. The format's low half is
-- the dtype of the codes, its high half the generation: which of the agent's codecs, by name, made them. So a
-- value leads to its own decoder, and memories of several codecs and versions live side by side.
-- @include errors
-- @include arguments
local codec = {
  generations = 16, -- as many codecs, by name, as one agent's memories can be of
}

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

local function read_configuration(text, name)
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

-- Reads a codec configuration as clients send it, for an agent whose only codec it is; adds what follows from
-- it: text, format, code_bytes, value_bytes, generation.
function codec.configuration(text, name)
  local config = read_configuration(text, name)
  if config.generation or config.earlier then
    errors.refuse('BADARG', name .. ' has a generation or earlier codecs: those are for the server to give')
  end
  config.generation = 0
  config.names = { [0] = config.name }
  return config
end

-- A configuration for one of several agents that have it: it gets a generation of its own.
function codec.of_one(config)
  return setmetatable({}, { __index = config })
end

-- Reads an agent's memory_system: the configuration, its generation, the earlier codecs; adds names, the
-- codec's name by generation. `text` is what the key holds, where that is known already.
function codec.of_agent(key, text)
  text = text or redis.call('JSON.GET', key)
  if not text then
    errors.refuse('NOCODEC', 'there is no ' .. key .. ' to say which codec made the memories')
  end
  local config = read_configuration(text, key)
  local names = {}
  local function name_generation(generation, name)
    generation = arguments.integer(generation, key .. ' generation', 0, codec.generations - 1)
    names[generation] = tostring(name)
    return generation
  end
  config.generation = name_generation(config.generation or 0, config.name)
  config.earlier = config.earlier or {}
  for _, earlier in ipairs(config.earlier) do
    earlier.generation = name_generation(earlier.generation, earlier.name)
  end
  config.names = names
  return config
end

-- The generation that a value's header states.
function codec.generation(value)
  return math.floor(value:byte() / 16)
end

-- The generation and the version that a value's header states, -1 where it has none.
function codec.origin(value)
  if #value < HEADER_BYTES then
    return -1, -1
  end
  return codec.generation(value), (struct.unpack('<H', value, 2))
end

local function header(config)
  return struct.pack('<BH', 16 * config.generation + config.format, config.version)
end

-- Whether this very version of this very codec made a value.
function codec.made(config, value)
  return value:sub(1, HEADER_BYTES) == header(config)
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

-- The bytes of one state as clients send it.
function codec.state_bytes(config)
  return FLOAT_BYTES * config.input_dim
end

-- How many states `blob` holds, FLOAT[B, input_dim] row after row.
function codec.rows(config, blob)
  local row_bytes = codec.state_bytes(config)
  if #blob % row_bytes ~= 0 then
    local text = 'states are %d bytes, not rows of %d floats'
    errors.refuse('BADARG', text:format(#blob, config.input_dim))
  end
  return arguments.integer(#blob / row_bytes, 'the number of states', 1, arguments.largest_batch)
end

-- Encodes the `rows` states in `blob` and returns their codes, row after row.
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
  return codes
end

-- The values of rows first … last of such codes; they are of the generation of `config`.
function codec.values(config, codes, first, last)
  local width = config.codes * config.code_bytes
  local own_header = header(config)
  local values = {}
  for i = first, last do
    values[#values + 1] = own_header .. codes:sub((i - 1) * width + 1, i * width)
  end
  return values
end

-- The group of a value: what its header says, and the size that all of the group must have. `name` is that of
-- the codec that made it, '' where the header's generation says so.
local function group_for(config, id, value, name)
  local format = FORMATS[value ~= '' and value:byte() % 16]
  if not format or #value <= HEADER_BYTES or (#value - HEADER_BYTES) % format.bytes ~= 0 then
    errors.refuse('CORRUPT', 'the memory at ' .. id .. ' is not a known header and whole codes')
  end
  local generation, version = codec.generation(value), struct.unpack('<H', value, 2)
  local own_name = config.names[generation]
  if name == '' and not own_name then
    local text = 'the memory at %s is of generation %d, of which the agent has no codec'
    errors.refuse('CORRUPT', text:format(id, generation))
  end
  name = name ~= '' and name or own_name
  local is_own = name == config.name and version == config.version
  return {
    decoder = string.format('memory_system:%s:v%d:decoder', name, version),
    format = format,
    size = is_own and config.value_bytes or #value,
    codes = {},
    rows = {},
  }
end

-- Sorts values by header and codec: a list of {decoder, format, size, codes = {…}, rows = {positions of
-- values}}. `names` as for codec.decode.
function codec.by_decoder(config, ids, values, names)
  local groups, group_of = {}, {}
  for i = 1, #values do
    local value = values[i]
    local name = names and names[i] or ''
    local kind = value:sub(1, HEADER_BYTES) .. name
    local group = group_of[kind]
    if not group then
      group = group_for(config, ids[i], value, name)
      group_of[kind] = group
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

-- Decodes values of any of an agent's codecs; returns FLOAT[B, input_dim], row after row, in their order.
-- `names` are those of the codecs that made them; nil, or '' for one of them, leaves it to the headers.
function codec.decode(routing, config, ids, values, names)
  local width = FLOAT_BYTES * config.input_dim
  local states = {}
  for _, group in ipairs(codec.by_decoder(config, ids, values, names)) do
    local decoder = group.decoder
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

-- Sorts values by header and length: a list of {header, size, ids, values}.
local function by_form(ids, values)
  local forms, form_of = {}, {}
  for i, value in ipairs(values) do
    local head = value:sub(1, HEADER_BYTES)
    local key = #value .. ' ' .. head
    local form = form_of[key]
    if not form then
      form = { header = head, size = #value, ids = {}, values = {} }
      form_of[key], forms[#forms + 1] = form, form
    end
    form.ids[#form.ids + 1], form.values[#form.values + 1] = ids[i], value
  end
  return forms
end

-- Whether values are at fault that could not be decoded, and not their decoder. Of the agent's own codec and
-- version it is known how long they are; of others only where it `works` for a value with the same header.
local function at_fault(config, form, problem, works)
  local ok, group = pcall(group_for, config, form.ids[1], form.values[1], '')
  if not ok or problem:find('^MEMERR NOCODEC') then
    return not ok
  end
  local own = header(config)
  if form.header ~= own and group.decoder == config.decoder then
    return true -- codes of another dtype
  end
  return form.header == own and form.size ~= config.value_bytes or works[form.header] == true
end

-- The ids of values that cannot be decoded: a list of those that are corrupt, and one of those of whose
-- decoder that cannot be told, since it is missing or fails.
function codec.examine(routing, config, ids, values)
  local failed, works, corrupt, undecodable = {}, {}, {}, {}
  for _, form in ipairs(by_form(ids, values)) do
    local ok, problem = pcall(codec.decode, routing, config, form.ids, form.values)
    if ok then
      works[form.header] = true
    elseif problem:find('^MEMERR NOCODEC') or problem:find('^MEMERR CORRUPT')
      or problem:find('^MEMERR BADCODEC') then
      form.problem = problem
      failed[#failed + 1] = form
    else
      error(problem, 0)
    end
  end
  for _, form in ipairs(failed) do
    local into = at_fault(config, form, form.problem, works) and corrupt or undecodable
    for _, id in ipairs(form.ids) do
      into[#into + 1] = id
    end
  end
  return corrupt, undecodable
end

-- Refuses a codec that cannot encode and decode a state of zeros: its models are missing, or other than its
-- configuration says.
function codec.must_work(routing, config)
  local zeros = string.rep('\0', FLOAT_BYTES * config.input_dim)
  local values = codec.values(config, codec.encode(routing, config, zeros, 1), 1, 1)
  codec.decode(routing, config, { 'a trial' }, values)
end

return codec
