// AI.INFO key [RESETSTAT]

#include <memory>
#include <optional>
#include <string>

#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "redis/reply.h"

namespace redisai::commands {
namespace {

// What the two kinds that run have in common.
struct Subject {
  const char* type;
  std::string backend;
  std::string device;
  std::string tag;
  std::shared_ptr<const void> value;  // keeps the counters alive
  RunStats& stats;
};

std::optional<Subject> Find(RedisModuleCtx* ctx, RedisModuleString* key) {
  const auto subject = [](const char* type, Backend backend, const auto& value) {
    return Subject{
        type,          std::string(Name(backend)), value->options().device.text, value->options().tag, value,
        value->stats()};
  };
  if (const auto model = ReadModel(ctx, key)) return subject("MODEL", (*model)->options().backend, *model);
  if (const auto script = ReadScript(ctx, key)) return subject("SCRIPT", Backend::kTorch, *script);
  return std::nullopt;
}

int ReplyStats(RedisModuleCtx* ctx, std::string_view key, const Subject& subject) {
  redis::ReplyWithArray(ctx, 18);
  redis::ReplyField(ctx, "key", key);
  redis::ReplyField(ctx, "type", subject.type);
  redis::ReplyField(ctx, "backend", subject.backend);
  redis::ReplyField(ctx, "device", subject.device);
  redis::ReplyField(ctx, "tag", subject.tag);
  redis::ReplyField(ctx, "duration", subject.stats.duration_us.load());
  redis::ReplyField(ctx, "samples", subject.stats.samples.load());
  redis::ReplyField(ctx, "calls", subject.stats.calls.load());
  redis::ReplyField(ctx, "errors", subject.stats.errors.load());
  return redis::kOk;
}

}  // namespace

int Info(RedisModuleCtx* ctx, redis::Args args) {
  RedisModuleString* key = args.NextString();
  const bool reset = args.TakeWord("RESETSTAT");
  if (!args.empty()) return redis::ReplyError(ctx, Error{"Invalid argument: " + OneLine(args.Peek())});
  const auto subject = Find(ctx, key);
  if (!subject) return redis::ReplyError(ctx, Error{"cannot find run info for key"});
  if (!reset) return ReplyStats(ctx, redis::View(key), *subject);
  subject->stats.Reset();
  return redis::ReplyOk(ctx);
}

}  // namespace redisai::commands
