// AI.SCRIPTSTORE key device [TAG tag] ENTRY_POINTS n name… SOURCE text
//
// The source is compiled on the device's queue; the key changes only when that has succeeded.

#include "commands/scriptstore.h"

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

std::optional<Error> ParseEntryPoints(redis::Args& args, std::vector<std::string>& names) {
  const Error none{"Insufficient arguments, missing script entry points"};
  if (!args.TakeWord("ENTRY_POINTS") || args.empty()) return none;
  const auto count = args.NextNumber<int64_t>();
  if (!count || *count < 0) {
    return Error{"Non numeric entry points number provided to AI.SCRIPTSTORE command"};
  }
  for (int64_t i = 0; i < *count; ++i) {
    if (args.empty()) return none;
    names.emplace_back(args.Next());
  }
  return std::nullopt;
}

// `kept` is what MustKeep says: the device of a script is then what RedisAI took for one.
Result<StoreArguments> Parse(redis::Args args, EntryPoints entry_points, bool kept) {
  const Error no_source{"Insufficient arguments, missing script SOURCE"};
  const std::string_view device_text = args.Next();
  const auto device = kept ? Device::ParseLenient(device_text) : Device::Parse(device_text);
  if (!device) return Error{"Invalid DEVICE"};
  StoreArguments parsed{{*device, "", {}}, nullptr};
  // A tag that is missing is not the last thing missing.
  if (args.TakeWord("TAG") && !args.empty()) parsed.options.tag = args.Next();
  if (entry_points == EntryPoints::kNamed) {
    if (auto error = ParseEntryPoints(args, parsed.options.entry_points)) return *error;
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
    if (const auto error = CheckStillWritable(ctx, key_.get(), persist::ScriptType()))
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

int StoreScript(RedisModuleCtx* ctx, redis::Args args, EntryPoints entry_points) {
  RedisModuleString* key = args.NextString();
  auto parsed = Parse(args, entry_points, MustKeep(ctx));
  if (!parsed) return redis::ReplyError(ctx, parsed.error());
  if (const auto error = CheckWritable(ctx, key, persist::ScriptType()))
    return redis::ReplyError(ctx, *error);
  const Device device = parsed->options.device;
  auto task = std::make_unique<StoreTask>(redis::String::Hold(ctx, key), std::move(*parsed));
  return RunTask(ctx, device, std::move(task));
}

int ScriptStore(RedisModuleCtx* ctx, redis::Args args) { return StoreScript(ctx, args, EntryPoints::kNamed); }

}  // namespace redisai::commands
