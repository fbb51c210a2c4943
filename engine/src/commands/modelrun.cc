// AI.MODELRUN key [TIMEOUT ms] INPUTS in… OUTPUTS out…. Deprecated: AI.MODELEXECUTE without counts.

#include "commands/handlers.h"
#include "commands/modelexecute.h"
#include "commands/run_syntax.h"
#include "redis/reply.h"

namespace redisai::commands {
int ModelRun(RedisModuleCtx* ctx, redis::Args args) {
  if (redis::IsKeysPositionRequest(ctx)) return ReportRunKeys(ctx, args);
  const auto call = ParseModelRun(args);
  if (!call) return redis::ReplyError(ctx, call.error());
  return RunModelCall(ctx, *call);
}

}  // namespace redisai::commands
