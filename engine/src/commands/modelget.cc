// AI.MODELGET key [META] [BLOB]

#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "persist/arguments.h"
#include "redis/reply.h"
#include "runtime/settings.h"

namespace redisai::commands {
namespace {

void ReplyMeta(RedisModuleCtx* ctx, const Model& model) {
  const ModelOptions& options = model.options();
  redis::ReplyField(ctx, "backend", Name(options.backend));
  redis::ReplyField(ctx, "device", options.device.text);
  redis::ReplyField(ctx, "tag", options.tag);
  redis::ReplyField(ctx, "batchsize", options.batch_size);
  redis::ReplyField(ctx, "minbatchsize", options.min_batch_size);
  // A TORCH model that cannot run here has no known signature.
  const auto& program = model.program();
  const std::vector<std::string>& inputs = program ? (*program)->input_names() : options.input_names;
  redis::Reply(ctx, "inputs");
  redis::ReplyWithArray(ctx, static_cast<long>(inputs.size()));
  for (const std::string& name : inputs) redis::Reply(ctx, name);
  const std::vector<std::string> outputs =
      program ? std::vector<std::string>((*program)->output_count().value_or(0)) : options.output_names;
  redis::Reply(ctx, "outputs");
  redis::ReplyWithArray(ctx, static_cast<long>(outputs.size()));
  for (const std::string& name : outputs) redis::Reply(ctx, name);
  redis::ReplyField(ctx, "minbatchtimeout", options.min_batch_timeout_ms);
}

int ReplyBlob(RedisModuleCtx* ctx, const Model& model) {
  const auto chunks =
      persist::Chunks(model.blob()->view(), static_cast<size_t>(GetSettings().model_chunk_bytes));
  if (chunks.size() > 1) redis::ReplyWithArray(ctx, static_cast<long>(chunks.size()));
  for (const auto chunk : chunks) redis::Reply(ctx, chunk);
  return redis::kOk;
}

}  // namespace

int ModelGet(RedisModuleCtx* ctx, redis::Args args) {
  RedisModuleString* key = args.NextString();
  bool meta = args.TakeWord("META");
  bool blob = args.TakeWord("BLOB");
  if (!meta) meta = args.TakeWord("META");
  if (!args.empty()) return redis::ReplyError(ctx, Error{"Invalid argument: " + OneLine(args.Peek())});
  if (!meta && !blob) meta = blob = true;
  const auto model = ReadModel(ctx, key);
  if (!model) return redis::ReplyError(ctx, model.error());
  if (!meta) return ReplyBlob(ctx, **model);
  redis::ReplyWithArray(ctx, blob ? 18 : 16);
  ReplyMeta(ctx, **model);
  if (!blob) return redis::kOk;
  redis::Reply(ctx, "blob");
  return ReplyBlob(ctx, **model);
}

}  // namespace redisai::commands
