// The module's entry point and the one command table.
//
// Threads: the server's main thread runs every command, owns the keyspace and sends every reply. Each device
// has a queue with workers that see immutable values only (see commands/task.h and runtime/queue.h).

#include <cstdlib>

#include "base/memory.h"
#include "commands/handlers.h"
#include "persist/model_names.h"
#include "persist/types.h"
#include "redis/api.h"
#include "redis/guard.h"
#include "runtime/devices.h"
#include "torch/engine.h"

namespace {

using namespace redisai;

constexpr int kVersion = 100;  // 0.1.0

// A command with `first_key` 0 and getkeys-api reports its keys itself. Names are in lower case, as the
// server's own are in its errors.
struct CommandSpec {
  const char* name;
  redis::CommandFunction function;
  const char* flags;
  int first_key;
};

constexpr CommandSpec kCommands[] = {
    {"ai.tensorset", redis::Command<commands::TensorSet, 3>, "write deny-oom", 1},
    {"ai.tensorget", redis::Command<commands::TensorGet, 1>, "readonly", 1},
    {"ai.modelstore", redis::Command<commands::ModelStore, 3>, "write deny-oom", 1},
    {"ai.modelget", redis::Command<commands::ModelGet, 1>, "readonly", 1},
    {"ai.modeldel", redis::Command<commands::ModelDel, 1>, "write", 1},
    {"ai.modelexecute", redis::Command<commands::ModelExecute, 1>, "write deny-oom getkeys-api", 0},
    {"ai._modelscan", redis::Command<commands::ModelScan, 0>, "readonly", 0},
    {"ai.dagexecute", redis::Command<commands::DagExecute, 0>, "write deny-oom getkeys-api", 0},
    {"ai.dagexecute_ro", redis::Command<commands::DagExecuteRo, 0>, "readonly getkeys-api", 0},
    {"ai.info", redis::Command<commands::Info, 1>, "readonly", 1},
};

struct LoadOptions {
  int threads_per_queue = 1;
  int intra_op_threads = 1;
  int inter_op_threads = 1;
};

// `NAME value` pairs of the loadmodule line.
Result<LoadOptions> ParseLoadOptions(redis::Args args) {
  LoadOptions options;
  while (!args.empty()) {
    int* target = nullptr;
    const std::string name = OneLine(args.Peek());
    if (args.TakeWord("THREADS_PER_QUEUE")) {
      target = &options.threads_per_queue;
    } else if (args.TakeWord("INTRA_OP_PARALLELISM")) {
      target = &options.intra_op_threads;
    } else if (args.TakeWord("INTER_OP_PARALLELISM")) {
      target = &options.inter_op_threads;
    } else {
      return Error{"unknown module argument: " + name};
    }
    const auto number = args.NextNumber<int>();
    if (!number || *number < 1 || *number > 1024) return Error{name + " takes a number from 1 to 1024"};
    *target = *number;
  }
  return options;
}

bool RegisterCommands(RedisModuleCtx* ctx) {
  for (const CommandSpec& spec : kCommands) {
    const int last_key = spec.first_key;
    const int step = spec.first_key ? 1 : 0;
    if (redis::CreateCommand(ctx, spec.name, spec.function, spec.flags, spec.first_key, last_key, step) !=
        redis::kOk) {
      return false;
    }
  }
  return true;
}

void OnShutdown(RedisModuleCtx*, RedisModuleEvent, uint64_t, void*) noexcept {
  // Workers must not outlive libtorch's globals, which the process destroys as it exits.
  StopQueues();
}

int Load(RedisModuleCtx* ctx, redis::Args args) {
  const auto options = ParseLoadOptions(args);
  if (!options) {
    redis::Log(ctx, "warning", "%s", options.error().text.c_str());
    return redis::kErr;
  }
  SetAllocator({redis::TryAlloc, redis::Free, redis::MallocSize});
  torch_backend::Setup(options->intra_op_threads, options->inter_op_threads);
  ConfigureRuntime({.threads_per_queue = options->threads_per_queue});
  redis::SetModuleOptions(ctx, redis::kHandleIoErrors);
  if (!persist::RegisterTensorType(ctx) || !persist::RegisterModelType(ctx) || !RegisterCommands(ctx)) {
    return redis::kErr;
  }
  persist::TrackModelNames(ctx);
  redis::SubscribeToServerEvent(ctx, redis::kShutdownEvent, OnShutdown);
  redis::Log(ctx, "notice",
             "engine for TorchScript models on torch %s, %d thread(s) a queue, %d within an operation",
             torch_backend::Version().c_str(), options->threads_per_queue, options->intra_op_threads);
  return redis::kOk;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int RedisModule_OnLoad(RedisModuleCtx* ctx,
                                                                         RedisModuleString** argv, int argc) {
  if (redis::LoadApi(ctx)) return redis::kErr;
  if (redis::IsModuleNameBusy("ai")) return redis::kErr;
  redis::SetModuleAttribs(ctx, "ai", kVersion, redis::kApiVersion);
  return redis::Guarded<int>(
      redis::kErr, [&] { return Load(ctx, redis::Args(std::span(argv, static_cast<size_t>(argc)))); });
}
