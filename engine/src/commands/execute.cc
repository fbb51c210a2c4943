#include "commands/execute.h"

#include <utility>

#include "commands/keyspace.h"
#include "persist/types.h"
#include "redis/reply.h"

namespace redisai::commands {
namespace {

int ReplyStatus(RedisModuleCtx* ctx, const GraphRun& run, const std::optional<Error>& written) {
  if (const Error* error = run.first_error()) return redis::ReplyError(ctx, *error);
  if (written) return redis::ReplyError(ctx, *written);
  return redis::ReplyOk(ctx);
}

}  // namespace

std::optional<Error> LoadInputs(RedisModuleCtx* ctx, Graph& graph, Names keys) {
  for (RedisModuleString* key : keys) {
    auto tensor = ReadTensor(ctx, key);
    if (!tensor) return tensor.error();
    graph.Load(redis::View(key), std::move(*tensor));
  }
  return std::nullopt;
}

std::optional<Error> KeepOutputs(RedisModuleCtx* ctx, Prepared& prepared, Names keys) {
  for (RedisModuleString* key : keys) {
    if (auto error = CheckWritable(ctx, key, persist::TensorType())) return error;
  }
  const auto& outputs = std::get<RunOp>(prepared.graph.ops().back()).outputs;
  for (size_t i = 0; i < keys.size(); ++i) {
    prepared.kept.push_back({redis::String::Hold(ctx, keys[i]), outputs[i]});
  }
  return std::nullopt;
}

int Execute(RedisModuleCtx* ctx, Prepared prepared, std::optional<int64_t> timeout_ms) {
  return RunGraphTask(ctx, std::move(prepared.graph), std::move(prepared.kept), ReplyStatus, timeout_ms);
}

}  // namespace redisai::commands
