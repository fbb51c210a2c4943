// AI.MODELRUN key [TIMEOUT ms] INPUTS in… OUTPUTS out…. Deprecated: AI.MODELEXECUTE without counts.

#include "commands/handlers.h"
#include "commands/modelexecute.h"
#include "redis/reply.h"

namespace redisai::commands {
namespace {

// The model, and all that follows INPUTS but the word OUTPUTS.
int ReportKeys(RedisModuleCtx* ctx, redis::Args args) {
  redis::ReportKey(ctx, args, redis::kReadsKey);
  while (!args.empty() && !args.TakeWord("INPUTS")) args.NextString();
  while (!args.empty() && !args.TakeWord("OUTPUTS")) redis::ReportKey(ctx, args, redis::kReadsKey);
  while (!args.empty()) redis::ReportKey(ctx, args, redis::kOverwritesKey);
  return redis::kOk;
}

}  // namespace

int ModelRun(RedisModuleCtx* ctx, redis::Args args) {
  if (redis::IsKeysPositionRequest(ctx)) return ReportKeys(ctx, args);
  const auto call = ParseModelRun(args);
  if (!call) return redis::ReplyError(ctx, call.error());
  return RunModelCall(ctx, *call);
}

}  // namespace redisai::commands
