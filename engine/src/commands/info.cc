// AI.INFO key [RESETSTAT]

#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "redis/reply.h"

namespace redisai::commands {
namespace {

int ReplyStats(RedisModuleCtx* ctx, std::string_view key, const Model& model) {
  const RunStats& stats = model.stats();
  redis::ReplyWithArray(ctx, 18);
  redis::ReplyField(ctx, "key", key);
  redis::ReplyField(ctx, "type", "MODEL");
  redis::ReplyField(ctx, "backend", "TORCH");
  redis::ReplyField(ctx, "device", model.options().device.name());
  redis::ReplyField(ctx, "tag", model.options().tag);
  redis::ReplyField(ctx, "duration", stats.duration_us.load());
  redis::ReplyField(ctx, "samples", stats.samples.load());
  redis::ReplyField(ctx, "calls", stats.calls.load());
  redis::ReplyField(ctx, "errors", stats.errors.load());
  return redis::kOk;
}

}  // namespace

int Info(RedisModuleCtx* ctx, redis::Args args) {
  RedisModuleString* key = args.NextString();
  const bool reset = args.TakeWord("RESETSTAT");
  if (!args.empty()) return redis::ReplyError(ctx, Error{"Invalid argument: " + OneLine(args.Peek())});
  const auto model = ReadModel(ctx, key);
  if (!model) return redis::ReplyError(ctx, Error{"cannot find run info for key"});
  if (!reset) return ReplyStats(ctx, redis::View(key), **model);
  (*model)->stats().Reset();
  return redis::ReplyOk(ctx);
}

}  // namespace redisai::commands
