-- Remembers what was made of texts that come with nearly every call, such as policies. A library's locals
-- outlive a call, so what is kept is bounded, nothing of an agent is, and who gets it changes nothing in it.
local memo = {}

local MOST_TEXTS, LONGEST_BYTES = 64, 4096

-- A function that gives make(text, …), which it calls for what it has not kept.
function memo.of(make)
  local made, count = {}, 0
  return function(text, ...)
    local value = made[text]
    if value == nil then
      value = make(text, ...)
      if count == MOST_TEXTS then
        made, count = {}, 0
      end
      if #text <= LONGEST_BYTES then
        made[text], count = value, count + 1
      end
    end
    return value
  end
end

return memo
