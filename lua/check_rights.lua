#!lua flags=no-writes
--[[ Says which commands the user who calls may not run, in scripts or outside. Runs none of them.
     KEYS[1] a key of an agent; none need be there.
     ARGV[1] commands as JSON, each a list of words, in which KEYS[1] stands for that key.
     Returns the positions in that list, from 1, of those refused or unknown to the server; false where the
     server cannot tell (before Redis 7.0).
     Errors MEMERR BADARG.
     Cost O(commands). ]]
-- @include errors
-- @include arguments

return errors.guard(function()
  if not redis.acl_check_cmd then
    return false
  end
  local refused = {}
  for position, words in ipairs(arguments.json(ARGV[1], 'commands')) do
    for i, word in ipairs(words) do
      words[i] = word == 'KEYS[1]' and KEYS[1] or word
    end
    local is_known, may_run = pcall(redis.acl_check_cmd, unpack(words))
    if not (is_known and may_run) then
      refused[#refused + 1] = position
    end
  end
  return refused
end)
