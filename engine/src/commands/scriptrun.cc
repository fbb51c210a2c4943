// AI.SCRIPTRUN key function [TIMEOUT ms] INPUTS in… [$ in…] OUTPUTS out…. Deprecated: AI.SCRIPTEXECUTE
// without counts, keys and arguments.

#include "commands/handlers.h"
#include "commands/run_syntax.h"
#include "commands/scriptexecute.h"
#include "redis/reply.h"

namespace redisai::commands {

int ScriptRun(RedisModuleCtx* ctx, redis::Args args) {
  if (redis::IsKeysPositionRequest(ctx)) return ReportRunKeys(ctx, args);
  const auto command = ParseScriptRun(args);
  if (!command) return redis::ReplyError(ctx, command.error());
  return RunScriptCommand(ctx, *command);
}

}  // namespace redisai::commands
