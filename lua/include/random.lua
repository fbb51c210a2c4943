-- Uniform random numbers that follow from a seed, the same on every server: a script stays deterministic.
local random = {}

-- Begins the sequence of a seed, which is any text. The server's generator takes 32 bits, and with seeds in a
-- row its first numbers would be in step: hence the hash.
function random.begin(seed)
  math.randomseed(tonumber(redis.sha1hex(seed):sub(1, 8), 16) - 2 ^ 31)
end

-- A number from 0 to below 1, of 52 bits: two numbers of the server's generator, which have 31.
local function number()
  local draw = math.random
  local high, low = draw() * 2 ^ 26, draw() * 2 ^ 26
  return ((high - high % 1) * 2 ^ 26 + (low - low % 1)) / 2 ^ 52
end

random.number = number

-- `many` integers from 0 to below `count`.
function random.many_below(many, count)
  local draw, numbers = math.random, {}
  for i = 1, many do
    local high, low = draw() * 2 ^ 26, draw() * 2 ^ 26
    local at = ((high - high % 1) * 2 ^ 26 + (low - low % 1)) / 2 ^ 52 * count
    numbers[i] = at - at % 1
  end
  return numbers
end

-- An integer from 0 to below `count`.
function random.below(count)
  local at = number() * count
  return at - at % 1
end

return random
