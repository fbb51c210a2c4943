#include "commands/configuration.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "redis/guard.h"
#include "runtime/allow_list.h"
#include "runtime/settings.h"

namespace redisai::commands {
namespace {

struct NumberSpec {
  const char* name;      // the server puts `ai.` before it
  const char* argument;  // of the module; null where there is none
  NumberSetting Settings::* target;
  int64_t least;
  int64_t most;
  unsigned flags;
};

constexpr int64_t kMaxMs = INT32_MAX;

constexpr NumberSpec kNumbers[] = {
    {"threads-per-queue", "THREADS_PER_QUEUE", &Settings::threads_per_queue, 1, 1024,
     redis::kConfigImmutable},
    {"intra-op-parallelism", "INTRA_OP_PARALLELISM", &Settings::intra_op_threads, 1, 1024,
     redis::kConfigImmutable},
    {"inter-op-parallelism", "INTER_OP_PARALLELISM", &Settings::inter_op_threads, 1, 1024,
     redis::kConfigImmutable},
    {"model-execution-timeout", "MODEL_EXECUTION_TIMEOUT", &Settings::model_execution_timeout_ms, 0, kMaxMs,
     redis::kConfigImmutable},
    {"backend-memory-limit", "BACKEND_MEMORY_LIMIT", &Settings::backend_memory_limit_mb, 0, INT32_MAX,
     redis::kConfigImmutable},
    {"model-chunk-size", nullptr, &Settings::model_chunk_bytes, 1, INT64_MAX, redis::kConfigMemory},
    {"inline-run-limit-us", nullptr, &Settings::inline_run_limit_us, 0, INT32_MAX, redis::kConfigDefault},
    {"max-batch-wait-ms", nullptr, &Settings::max_batch_wait_ms, 1, kMaxMs, redis::kConfigDefault},
};

constexpr const char* kAllowListName = "model-allow-list";

// What CONFIG GET shows of the allow-list. Never destroyed: at exit the server's allocator may be gone.
std::optional<redis::String>& AllowListText() {
  static auto* text = new std::optional<redis::String>();
  return *text;
}

NumberSetting& Target(const NumberSpec& spec) { return GetSettings().*spec.target; }

long long GetNumber(const char*, void* spec) noexcept {
  return Target(*static_cast<const NumberSpec*>(spec));
}

// The server has held the number against the limits.
int SetNumber(const char*, long long number, void* spec, RedisModuleString**) noexcept {
  Target(*static_cast<const NumberSpec*>(spec)) = number;
  return redis::kOk;
}

RedisModuleString* GetAllowListText(const char*, void*) noexcept { return AllowListText()->get(); }

// The server frees `error`, and shows it.
int SetAllowListText(const char*, RedisModuleString* text, void*, RedisModuleString** error) noexcept {
  return redis::Guarded<int>(redis::kErr, [&] {
    redis::String copy(redis::View(text));
    if (const auto refused = SetAllowList(copy.view())) {
      *error = redis::CreateString(nullptr, refused->text.data(), refused->text.size());
      return redis::kErr;
    }
    AllowListText().emplace(std::move(copy));
    return redis::kOk;
  });
}

std::optional<Error> TakeNumber(redis::Args& args, const NumberSpec& spec) {
  const auto number = args.NextNumber<int64_t>();
  if (!number || *number < spec.least || *number > spec.most) {
    return Error{std::string(spec.argument) + " takes a number from " + std::to_string(spec.least) + " to " +
                 std::to_string(spec.most)};
  }
  Target(spec) = *number;
  return std::nullopt;
}

}  // namespace

std::optional<Error> ParseModuleArguments(redis::Args args) {
  while (!args.empty()) {
    const std::string name = OneLine(args.Peek());
    if (args.TakeWord("TORCH")) {  // where RedisAI had the library of its backend; ours is built in
      if (args.empty()) return Error{"TORCH takes a path"};
      args.Next();
      continue;
    }
    const auto* spec = std::find_if(std::begin(kNumbers), std::end(kNumbers), [&args](const auto& known) {
      return known.argument && args.TakeWord(known.argument);
    });
    if (spec == std::end(kNumbers)) return Error{"unknown module argument: " + name};
    if (auto error = TakeNumber(args, *spec)) return error;
  }
  return std::nullopt;
}

bool RegisterConfiguration(RedisModuleCtx* ctx) {
  for (const NumberSpec& spec : kNumbers) {
    if (redis::RegisterNumericConfig(ctx, spec.name, Target(spec), spec.flags, spec.least, spec.most,
                                     GetNumber, SetNumber, nullptr,
                                     const_cast<NumberSpec*>(&spec)) != redis::kOk) {
      return false;
    }
  }
  AllowListText().emplace("");
  if (redis::RegisterStringConfig(ctx, kAllowListName, "", redis::kConfigDefault, GetAllowListText,
                                  SetAllowListText, nullptr, nullptr) != redis::kOk) {
    return false;
  }
  return redis::LoadConfigs(ctx) == redis::kOk;
}

}  // namespace redisai::commands
