// The module's entry point and the one command table.
//
// Threads: the server's main thread runs every command, owns the keyspace and sends every reply. Each device
// has a queue with workers that see immutable values only (see commands/task.h and runtime/queue.h).

#include <string>

#include "base/memory.h"
#include "commands/configuration.h"
#include "commands/handlers.h"
#include "commands/info_sections.h"
#include "persist/types.h"
#include "persist/value_names.h"
#include "redis/api.h"
#include "redis/guard.h"
#include "redis/main_thread.h"
#include "runtime/devices.h"
#include "runtime/settings.h"
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
    {"ai.scriptstore", redis::Command<commands::ScriptStore, 2>, "write deny-oom", 1},
    {"ai.scriptget", redis::Command<commands::ScriptGet, 1>, "readonly", 1},
    {"ai.scriptdel", redis::Command<commands::ScriptDel, 1>, "write", 1},
    {"ai.scriptexecute", redis::Command<commands::ScriptExecute, 2>, "write deny-oom getkeys-api", 0},
    {"ai._scriptscan", redis::Command<commands::ScriptScan, 0>, "readonly", 0},
    {"ai.dagexecute", redis::Command<commands::DagExecute, 0>, "write deny-oom getkeys-api", 0},
    {"ai.dagexecute_ro", redis::Command<commands::DagExecuteRo, 0>, "readonly getkeys-api", 0},
    {"ai.modelset", redis::Command<commands::ModelSet, 3>, "write deny-oom", 1},
    {"ai.modelrun", redis::Command<commands::ModelRun, 1>, "write deny-oom getkeys-api", 0},
    {"ai.dagrun", redis::Command<commands::DagRun, 0>, "write deny-oom getkeys-api", 0},
    {"ai.dagrun_ro", redis::Command<commands::DagRunRo, 0>, "readonly getkeys-api", 0},
    {"ai.config", redis::Command<commands::Config, 1>, "write", 0},
    {"ai.info", redis::Command<commands::Info, 1>, "readonly", 1},
};

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
  // Workers must not outlive libtorch's globals, which the process destroys as it exits; none of them may
  // wait for this thread while this thread waits for them.
  redis::StopServingWorkers();
  StopQueues();
}

int Load(RedisModuleCtx* ctx, redis::Args args) {
  if (const auto error = commands::ParseModuleArguments(args)) {
    redis::Log(ctx, "warning", "%s", error->text.c_str());
    return redis::kErr;
  }
  SetAllocator({redis::TryAlloc, redis::Free, redis::MallocSize});
  if (!commands::RegisterConfiguration(ctx)) return redis::kErr;
  const int threads_per_queue = static_cast<int>(GetSettings().threads_per_queue);
  const int intra_op_threads = static_cast<int>(GetSettings().intra_op_threads);
  torch_backend::Setup(intra_op_threads, static_cast<int>(GetSettings().inter_op_threads));
  redis::SetModuleOptions(ctx, redis::kHandleIoErrors);
  if (!persist::RegisterTensorType(ctx) || !persist::RegisterModelType(ctx) ||
      !persist::RegisterScriptType(ctx) || !RegisterCommands(ctx) || !commands::RegisterInfoSections(ctx)) {
    return redis::kErr;
  }
  persist::TrackValueNames(ctx);
  if (!redis::ServeWorkers(ctx)) return redis::kErr;
  redis::SubscribeToServerEvent(ctx, redis::kShutdownEvent, OnShutdown);
  redis::Log(ctx, "notice",
             "engine for TorchScript models on torch %s, %d thread(s) a queue, %d within an operation",
             torch_backend::Version().c_str(), threads_per_queue, intra_op_threads);
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
