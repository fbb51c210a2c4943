-- Uniform random numbers that follow from a seed, the same on every server: a script stays deterministic.
local random = {}

-- Begins the sequence of a seed, which is any text. The server's generator takes 32 bits, and with seeds in a
-- row its first numbers would be in step: hence the hash.
function random.begin(seed)
  math.randomseed(tonumber(redis.sha1hex(seed):sub(1, 8), 16) - 2 ^ 31)
end

-- A number from 0 to below 1, of 52 bits: two numbers of the server's generator, which have 31.
function random.number()
  local high, low = math.floor(math.random() * 2 ^ 26), math.floor(math.random() * 2 ^ 26)
  return (high * 2 ^ 26 + low) / 2 ^ 52
end

-- An integer from 0 to below `count`.
function random.below(count)
  return math.floor(random.number() * count)
end

return random
