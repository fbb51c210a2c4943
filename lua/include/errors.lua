-- How a script refuses: one reply "MEMERR CODE detail", which clients map to a class by its CODE.
local errors = {}

-- Ends the script with that reply. Everything that can be refused is refused before the first write.
function errors.refuse(code, detail)
  error('MEMERR ' .. code .. ' ' .. detail, 0)
end

-- Returns what operation() returns, or its error as the reply. An error that left the script by itself would
-- get the script's SHA1 and a line number appended. (Redis's pcall hands errors over as text, not as tables.)
function errors.guard(operation)
  local ok, reply = pcall(operation)
  if ok then
    return reply
  end
  local has_code = reply:find('^%u+ ') ~= nil
  return redis.error_reply(has_code and reply or 'ERR ' .. reply)
end

return errors
