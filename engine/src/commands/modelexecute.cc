// AI.MODELEXECUTE key INPUTS n in… OUTPUTS n out… [TIMEOUT ms]

#include "commands/modelexecute.h"

#include <utility>

#include "commands/execute.h"
#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "redis/reply.h"

namespace redisai::commands {
namespace {

// For COMMAND GETKEYS and the cluster: the model, the inputs, the outputs. Whatever cannot be parsed has no
// keys.
int ReportKeys(RedisModuleCtx* ctx, redis::Args args) {
  redis::ReportKey(ctx, args, redis::kReadsKey);
  for (const auto& [word, use] :
       {std::pair("INPUTS", redis::kReadsKey), std::pair("OUTPUTS", redis::kOverwritesKey)}) {
    if (!args.TakeWord(word)) return redis::kOk;
    const auto count = args.NextNumber<int64_t>();
    if (!count || *count <= 0 || static_cast<uint64_t>(*count) > args.size()) return redis::kOk;
    for (int64_t i = 0; i < *count; ++i) redis::ReportKey(ctx, args, use);
  }
  return redis::kOk;
}

Result<Prepared> Prepare(RedisModuleCtx* ctx, const ModelCall& call) {
  auto model = ReadModel(ctx, call.model);
  if (!model) return model.error();
  Prepared prepared;
  if (auto error = LoadInputs(ctx, prepared.graph, call.inputs)) return *error;
  if (auto error = prepared.graph.AddModel(std::move(*model), Views(call.inputs), Views(call.outputs)))
    return *error;
  if (auto error = KeepOutputs(ctx, prepared, call.outputs)) return *error;
  return prepared;
}

}  // namespace

int RunModelCall(RedisModuleCtx* ctx, const ModelCall& call) {
  auto prepared = Prepare(ctx, call);
  if (!prepared) return redis::ReplyError(ctx, prepared.error());
  return Execute(ctx, std::move(*prepared), call.timeout_ms);
}

int ModelExecute(RedisModuleCtx* ctx, redis::Args args) {
  if (redis::IsKeysPositionRequest(ctx)) return ReportKeys(ctx, args);
  const auto call = ParseModelCall(args);
  if (!call) return redis::ReplyError(ctx, call.error());
  return RunModelCall(ctx, *call);
}

}  // namespace redisai::commands
