-- States to the values that are stored, and back: the models run here, in the server, once for a whole batch.
--
-- A value is 1 byte format, 2 bytes codec version (little endian), then the codes. The format's low half is
-- the dtype of the codes, its high half the generation: which of the agent's codecs, by name, made them. So a
-- value leads to its own decoder, and memories of several codecs and versions live side by side.
--
-- Nothing is done for each of many memories that can be done for all. New ones are `coded`: {header, width =
-- bytes of one memory's codes, count, codes = their codes one after another}. Those that are read come as
-- runs, neighbours whose header, size and codec are one: {header, size = bytes of one memory's codes, count,
-- codes}, and `name`, that of the codec, where another than the header's generation says so.
-- @include errors
-- @include arguments
-- @include memo
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

local new_configuration = memo.of(function(text, name)
  local config = read_configuration(text, name)
  if config.generation or config.earlier then
    errors.refuse('BADARG', name .. ' has a generation or earlier codecs: those are for the server to give')
  end
  config.generation = 0
  config.names = { [0] = config.name }
  return { __index = config }
end)

-- Reads a codec configuration as clients send it, for an agent whose only codec it is; adds what follows from
-- it: text, format, code_bytes, value_bytes, generation.
function codec.configuration(text, name)
  return setmetatable({}, new_configuration(text, name))
end

-- A configuration for one of several agents that have it: it gets a generation of its own.
function codec.of_one(config)
  return setmetatable({}, { __index = config })
end

-- Reads an agent's memory_system: the configuration, its generation, the earlier codecs; adds names, the
-- codec's name by generation. `text` is what the key holds, where that is known already.
function codec.of_agent(key, text)
  text = text or arguments.document(key)
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

-- The key of one of a codec version's models: encoder, decoder or latents.
function codec.model_key(name, version, part)
  return string.format('memory_system:%s:v%d:%s', name, version, part)
end

-- Refuses with what the engine said, where it refused a command that names this model. A codec may be without
-- the model of its latents: nothing needs it but a search in the codec's space.
function codec.refuse(model, said)
  if said:find('model key is empty', 1, true) or said:find('cannot find run info', 1, true) then
    local optional = model:find(':latents$')
    local hint = optional and ': the codec may have been published without it; compare states instead' or ''
    errors.refuse('NOCODEC', 'there is no model at ' .. model .. ' on this server' .. hint)
  elseif said:find('within a transaction or a LUA script', 1, true) then
    errors.refuse('NOMODELS', 'this server runs no models inside scripts')
  end
  error(said, 0)
end

-- Runs one model over `rows` rows; returns the bytes of its output, or nil and the engine's error.
-- `routing` is a key of the agent: a cluster checks slots by it, the engine finds the model on this shard.
function codec.run(routing, model, dtype, rows, columns, blob)
  local reply = redis.pcall('AI.DAGEXECUTE_RO', 'ROUTING', routing,
    '|>', 'AI.TENSORSET', 'input', dtype, rows, columns, 'BLOB', blob,
    '|>', 'AI.MODELEXECUTE', model, 'INPUTS', 1, 'input', 'OUTPUTS', 1, 'output',
    '|>', 'AI.TENSORGET', 'output', 'BLOB')
  if reply.err then
    codec.refuse(model, reply.err)
  end
  for _, answer in ipairs(reply) do
    if type(answer) == 'table' and answer.err then
      return nil, (answer.err:gsub('^ERR ', ''))
    end
  end
  return reply[3], reply.ok -- TIMEDOUT comes alone
end

-- The bytes that clients send for each state: its own, or where `form` is a dtype, those of its codes.
function codec.row_bytes(config, form)
  if form == 'states' then
    return FLOAT_BYTES * config.input_dim
  elseif form ~= config.code_dtype then
    local text = '%s made codes of dtype %s, not %s'
    errors.refuse('BADCODEC', text:format(config.encoder, tostring(form), config.code_dtype))
  end
  return config.codes * config.code_bytes
end

-- How many states `blob` holds, row after row: FLOAT[B, input_dim], or their codes.
function codec.rows(config, form, blob)
  local row_bytes = codec.row_bytes(config, form)
  if #blob % row_bytes ~= 0 and form == 'states' then
    local text = 'states are %d bytes, not rows of %d floats'
    errors.refuse('BADARG', text:format(#blob, config.input_dim))
  elseif #blob % row_bytes ~= 0 then
    errors.refuse('BADCODEC', string.format('codes are %d bytes, not rows of %d', #blob, row_bytes))
  end
  return arguments.integer(#blob / row_bytes, 'the number of states', 1, arguments.largest_batch)
end

-- Encodes the `rows` states in `blob` and returns their codes, row after row.
function codec.encode(routing, config, blob, rows)
  local codes, problem = codec.run(routing, config.encoder, 'FLOAT', rows, config.input_dim, blob)
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

-- The codes of the `rows` states in `blob`, which is them already where `form` is their dtype.
function codec.codes(routing, config, form, blob, rows)
  return form == 'states' and codec.encode(routing, config, blob, rows) or blob
end

-- Codes as they are stored, of the generation of `config`.
function codec.coded(config, codes)
  local width = config.codes * config.code_bytes
  return { header = header(config), width = width, count = #codes / width, codes = codes }
end

-- The value of the memory at position i.
function codec.value(coded, i)
  return coded.header .. coded.codes:sub((i - 1) * coded.width + 1, i * coded.width)
end

-- The number of codes in so many bytes, nil where the header is none or these are no whole codes.
local function count_of(head, size)
  local format = FORMATS[head ~= '' and head:byte() % 16]
  local codes = format and size / format.bytes
  return codes and codes > 0 and codes % 1 == 0 and codes or nil
end

-- How many codes a value has, nil where it is not a known header and whole codes.
function codec.count_codes(value)
  return count_of(value:sub(1, HEADER_BYTES), #value - HEADER_BYTES)
end

-- Adds a run, to the last one where it goes on with that.
local function add_run(runs, run)
  local before = runs[#runs]
  if before and before.header == run.header and before.size == run.size and before.name == run.name then
    before.count, before.codes = before.count + run.count, before.codes .. run.codes
  else
    runs[#runs + 1] = run
  end
end

-- Adds the values to runs, passing over what is false; returns how many there were. `names` are those of the
-- codecs that made them; nil, or '' for one of them, leaves it to the headers.
function codec.add_runs(runs, values, names)
  local sub, total, i = string.sub, 0, 1
  while values[i] == false do
    i = i + 1
  end
  local value = values[i]
  while value do
    local length, head, name, codes, count = #value, sub(value, 1, HEADER_BYTES), names and names[i], {}, 0
    repeat
      count = count + 1
      codes[count] = sub(value, HEADER_BYTES + 1)
      repeat
        i = i + 1
        value = values[i]
      until value ~= false
    until not value or #value ~= length or sub(value, 1, HEADER_BYTES) ~= head
      or name and name ~= names[i]
    local size = math.max(0, length - HEADER_BYTES)
    add_run(runs, { header = head, size = size, count = count, codes = table.concat(codes), name = name })
    total = total + count
  end
  return total
end

-- The group of a run, the first one of it: what its header says, and the size that all of the group must
-- have.
local function group_for(config, id, run)
  if not count_of(run.header, run.size) then
    errors.refuse('CORRUPT', 'the memory at ' .. id .. ' is not a known header and whole codes')
  end
  local format = FORMATS[run.header:byte() % 16]
  local generation, version = codec.generation(run.header), struct.unpack('<H', run.header, 2)
  local name, own_name = run.name or '', config.names[generation]
  if name == '' and not own_name then
    local text = 'the memory at %s is of generation %d, of which the agent has no codec'
    errors.refuse('CORRUPT', text:format(id, generation))
  end
  name = name ~= '' and name or own_name
  local is_own = name == config.name and version == config.version
  local size = is_own and config.value_bytes - HEADER_BYTES or run.size
  return {
    decoder = codec.model_key(name, version, 'decoder'),
    dtype = format.dtype,
    columns = size / format.bytes,
    size = size,
    count = 0,
    places = {},
    parts = {},
  }
end

-- Sorts runs by header and codec: a list of {decoder, dtype and columns of the codes, size, count, codes,
-- places = positions of its runs, parts = their codes}.
function codec.by_decoder(config, ids, runs)
  local groups, group_of, row = {}, {}, 1
  for place, run in ipairs(runs) do
    local kind = run.header .. (run.name or '')
    local group = group_of[kind]
    if not group then
      group = group_for(config, ids[row], run)
      group_of[kind], groups[#groups + 1] = group, group
    end
    if run.size ~= group.size then
      local text = 'the memory at %s is %d bytes, not %d'
      errors.refuse('CORRUPT', text:format(ids[row], HEADER_BYTES + run.size, HEADER_BYTES + group.size))
    end
    local n = #group.places + 1
    group.places[n], group.parts[n] = place, run.codes
    group.count = group.count + run.count
    row = row + run.count
  end
  for _, group in ipairs(groups) do
    group.codes = #group.parts == 1 and group.parts[1] or table.concat(group.parts)
  end
  return groups
end

-- The positions of the memories of each of these groups, one list a group.
function codec.positions(groups, runs)
  local lists, list_of, row = {}, {}, 1
  for i, group in ipairs(groups) do
    lists[i] = {}
    for _, place in ipairs(group.places) do
      list_of[place] = lists[i]
    end
  end
  for place, run in ipairs(runs) do
    local list = list_of[place]
    local n = #list
    for i = 1, run.count do
      list[n + i] = row
      row = row + 1
    end
  end
  return lists
end

-- What a caller needs to decode memories itself: {input_dim, groups…}, a group for each codec and version:
-- {decoder, dtype and columns of the codes, positions in ids or false for all, codes row after row}.
function codec.encoded(config, ids, runs)
  local groups, reply = codec.by_decoder(config, ids, runs), { config.input_dim }
  local rows = #groups > 1 and codec.positions(groups, runs) or {}
  for i, group in ipairs(groups) do
    reply[i + 1] = { group.decoder, group.dtype, group.columns, rows[i] or false, group.codes }
  end
  return reply
end

-- Decodes memories of any of an agent's codecs; returns FLOAT[B, input_dim], row after row, in their order.
function codec.decode(routing, config, ids, runs)
  local width = FLOAT_BYTES * config.input_dim
  local groups, states = codec.by_decoder(config, ids, runs), {}
  for _, group in ipairs(groups) do
    local decoder = group.decoder
    local blob, problem = codec.run(routing, decoder, group.dtype, group.count, group.columns, group.codes)
    if problem then
      errors.refuse('CORRUPT', decoder .. ' cannot read the memories: ' .. problem)
    elseif #blob ~= group.count * width then
      local text = '%s made %d bytes of %d memories, not %d each'
      errors.refuse('BADCODEC', text:format(decoder, #blob, group.count, width))
    elseif #groups == 1 then
      return blob
    end
    local at = 0
    for _, place in ipairs(group.places) do
      local bytes = runs[place].count * width
      states[place] = blob:sub(at + 1, at + bytes)
      at = at + bytes
    end
  end
  return table.concat(states)
end

-- Sorts memories by header and size: a list of {header, size, ids, runs}.
local function by_form(ids, runs)
  local forms, form_of, row = {}, {}, 0
  for _, run in ipairs(runs) do
    local key = run.size .. ' ' .. run.header
    local form = form_of[key]
    if not form then
      form = { header = run.header, size = run.size, ids = {}, runs = {} }
      form_of[key], forms[#forms + 1] = form, form
    end
    form.runs[#form.runs + 1] = run
    for i = row + 1, row + run.count do
      form.ids[#form.ids + 1] = ids[i]
    end
    row = row + run.count
  end
  return forms
end

-- Whether memories are at fault that could not be decoded, and not their decoder. Of the agent's own codec
-- and version it is known how long they are; of others only where it `works` for a value with the same
-- header.
local function at_fault(config, form, problem, works)
  local ok, group = pcall(group_for, config, form.ids[1], form.runs[1])
  if not ok or problem:find('^MEMERR NOCODEC') then
    return not ok
  end
  local own = header(config)
  if form.header ~= own and group.decoder == config.decoder then
    return true -- codes of another dtype
  end
  return form.header == own and form.size ~= config.value_bytes - HEADER_BYTES or works[form.header] == true
end

-- The ids of memories that cannot be decoded: a list of those that are corrupt, and one of those of whose
-- decoder that cannot be told, since it is missing or fails.
function codec.examine(routing, config, ids, runs)
  local failed, works, corrupt, undecodable = {}, {}, {}, {}
  for _, form in ipairs(by_form(ids, runs)) do
    local ok, problem = pcall(codec.decode, routing, config, form.ids, form.runs)
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
  local coded, runs = codec.coded(config, codec.encode(routing, config, zeros, 1)), {}
  codec.add_runs(runs, { codec.value(coded, 1) })
  codec.decode(routing, config, { 'a trial' }, runs)
end

return codec
