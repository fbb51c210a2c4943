// AI.SCRIPTSTORE key device [TAG tag] ENTRY_POINTS n name… SOURCE text
//
// The source is compiled on the device's queue; the key changes only when that has succeeded.

#include <memory>

#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "commands/task.h"
#include "persist/types.h"
#include "redis/reply.h"
#include "runtime/load.h"

namespace redisai::commands {
namespace {

struct StoreArguments {
  ScriptOptions options;
  Blob::Ref source;
};

Result<StoreArguments> Parse(redis::Args args) {
  const Error no_entry_points{"Insufficient arguments, missing script entry points"};
  const Error no_source{"Insufficient arguments, missing script SOURCE"};
  const auto device = Device::Parse(args.Next());
  if (!device) return Error{"Invalid DEVICE"};
  StoreArguments parsed{{*device, "", {}}, nullptr};
  if (args.TakeWord("TAG")) {
    if (args.empty()) return no_entry_points;
    parsed.options.tag = args.Next();
  }
  if (!args.TakeWord("ENTRY_POINTS") || args.empty()) return no_entry_points;
  const auto count = args.NextNumber<int64_t>();
  if (!count || *count < 0) {
    return Error{"Non numeric entry points number provided to AI.SCRIPTSTORE command"};
  }
  for (int64_t i = 0; i < *count; ++i) {
    if (args.empty()) return no_entry_points;
    parsed.options.entry_points.emplace_back(args.Next());
  }
  if (!args.TakeWord("SOURCE") || args.empty()) return no_source;
  const std::string_view text = args.Next();
  if (!args.empty()) return Error{"Invalid argument: " + OneLine(args.Peek())};
  const auto source = Blob::Join({&text, 1});
  if (!source) return source.error();
  parsed.source = *source;
  return parsed;
}

class StoreTask final : public Task {
 public:
  StoreTask(redis::String key, StoreArguments arguments)
      : key_(std::move(key)), arguments_(std::move(arguments)) {}

  void Work() noexcept override { program_ = CompileScript(arguments_.source->view(), arguments_.options); }

  int Finish(RedisModuleCtx* ctx) override {
    if (!program_ && !MustKeep(ctx)) return redis::ReplyError(ctx, program_.error());
    if (const auto error = CheckWritable(ctx, key_.get(), persist::ScriptType()))
      return redis::ReplyError(ctx, *error);
    WriteScript(ctx, key_.get(),
                std::make_shared<Script>(std::move(arguments_.options), std::move(arguments_.source),
                                         std::move(program_)));
    return redis::ReplyOk(ctx);
  }

 private:
  redis::String key_;
  StoreArguments arguments_;
  Result<ScriptProgram::Ref> program_ = Error{"the script was not compiled"};
};

}  // namespace

int ScriptStore(RedisModuleCtx* ctx, redis::Args args) {
  RedisModuleString* key = args.NextString();
  auto parsed = Parse(args);
  if (!parsed) return redis::ReplyError(ctx, parsed.error());
  if (const auto error = CheckWritable(ctx, key, persist::ScriptType()))
    return redis::ReplyError(ctx, *error);
  const Device device = parsed->options.device;
  auto task = std::make_unique<StoreTask>(redis::String::Hold(ctx, key), std::move(*parsed));
  return RunTask(ctx, device, std::move(task));
}

}  // namespace redisai::commands
