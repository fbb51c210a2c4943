// AI.MODELSTORE key backend device [TAG tag] [BATCHSIZE n [MINBATCHSIZE m [MINBATCHTIMEOUT t]]] BLOB chunk…
//
// The model is loaded, frozen and optimised on the device's queue; the key changes only when that has
// succeeded.

#include <memory>
#include <vector>

#include "base/limits.h"
#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "commands/task.h"
#include "persist/types.h"
#include "redis/reply.h"
#include "runtime/load.h"

namespace redisai::commands {
namespace {

struct StoreArguments {
  ModelOptions options;
  Blob::Ref blob;
};

std::optional<Error> ParseBatching(redis::Args& args, ModelOptions& options) {
  const auto positive = [&args](int64_t& target) {
    const auto number = args.NextNumber<int64_t>();
    if (!number || *number <= 0) return false;
    target = *number;
    return true;
  };
  if (args.TakeWord("BATCHSIZE") && !positive(options.batch_size))
    return Error{"Invalid argument for BATCHSIZE"};
  if (args.TakeWord("MINBATCHSIZE")) {
    if (options.batch_size == 0) return Error{"MINBATCHSIZE specified without BATCHSIZE"};
    if (!positive(options.min_batch_size)) return Error{"Invalid argument for MINBATCHSIZE"};
  }
  if (args.TakeWord("MINBATCHTIMEOUT")) {
    if (options.min_batch_size == 0) return Error{"MINBATCHTIMEOUT specified without MINBATCHSIZE"};
    if (!positive(options.min_batch_timeout_ms) || options.min_batch_timeout_ms > kMaxWaitMs) {
      return Error{"Invalid argument for MINBATCHTIMEOUT"};
    }
  }
  return std::nullopt;
}

// What follows INPUTS or OUTPUTS up to the next word, of a backend that wants it: a number and names, or, of
// AI.MODELSET, names alone.
std::vector<std::string> TakeNames(redis::Args& args, const char* word) {
  std::vector<std::string> names;
  if (!args.TakeWord(word)) return names;
  while (!args.empty() && !EqualsIgnoreCase(args.Peek(), "OUTPUTS") && !EqualsIgnoreCase(args.Peek(), "BLOB"))
    names.emplace_back(args.Next());
  if (!names.empty() && ParseNumber<size_t>(names.front()) == names.size() - 1) names.erase(names.begin());
  return names;
}

// `kept` is what MustKeep says: another backend's model, which RedisAI stored, is then read too.
Result<StoreArguments> Parse(redis::Args args, bool kept) {
  const auto backend = BackendFromName(args.Next());
  if (!backend || (*backend != Backend::kTorch && !kept)) return Error{"unsupported backend"};
  const std::string_view device_text = args.Next();
  const auto device = kept ? Device::ParseLenient(device_text) : Device::Parse(device_text);
  if (!device) return Error{"Invalid DEVICE"};
  StoreArguments parsed{{.device = *device, .tag = "", .backend = *backend}, nullptr};
  if (args.TakeWord("TAG")) {
    if (args.empty()) return Error{"Insufficient arguments, missing model BLOB"};
    parsed.options.tag = args.Next();
  }
  if (auto error = ParseBatching(args, parsed.options)) return *error;
  if (*backend != Backend::kTorch) {
    parsed.options.input_names = TakeNames(args, "INPUTS");
    parsed.options.output_names = TakeNames(args, "OUTPUTS");
  }
  for (const char* word : {"INPUTS", "OUTPUTS"}) {
    if (args.TakeWord(word)) {
      return Error{std::string(word) + " argument should not be specified for this backend"};
    }
  }
  if (args.empty()) return Error{"Insufficient arguments, missing model BLOB"};
  if (!args.TakeWord("BLOB")) return Error{"Invalid argument, expected BLOB"};
  if (args.empty()) return Error{"Insufficient arguments, missing model BLOB"};
  std::vector<std::string_view> chunks;
  while (!args.empty()) chunks.push_back(args.Next());
  const auto blob = Blob::Join(chunks);
  if (!blob) return blob.error();
  parsed.blob = *blob;
  return parsed;
}

class StoreTask final : public Task {
 public:
  StoreTask(redis::String key, StoreArguments arguments)
      : key_(std::move(key)), arguments_(std::move(arguments)) {}

  void Work() noexcept override { program_ = LoadModel(arguments_.blob, arguments_.options); }

  int Finish(RedisModuleCtx* ctx) override {
    if (!program_ && !MustKeep(ctx)) return redis::ReplyError(ctx, program_.error());
    if (const auto error = CheckStillWritable(ctx, key_.get(), persist::ModelType()))
      return redis::ReplyError(ctx, *error);
    WriteModel(ctx, key_.get(),
               std::make_shared<Model>(std::move(arguments_.options), std::move(arguments_.blob),
                                       std::move(program_)));
    return redis::ReplyOk(ctx);
  }

 private:
  redis::String key_;
  StoreArguments arguments_;
  Result<Program::Ref> program_ = Error{"the model was not loaded"};
};

}  // namespace

int ModelStore(RedisModuleCtx* ctx, redis::Args args) {
  RedisModuleString* key = args.NextString();
  auto parsed = Parse(args, MustKeep(ctx));
  if (!parsed) return redis::ReplyError(ctx, parsed.error());
  if (const auto error = CheckWritable(ctx, key, persist::ModelType())) return redis::ReplyError(ctx, *error);
  const Device device = parsed->options.device;
  auto task = std::make_unique<StoreTask>(redis::String::Hold(ctx, key), std::move(*parsed));
  return RunTask(ctx, device, std::move(task));
}

}  // namespace redisai::commands
