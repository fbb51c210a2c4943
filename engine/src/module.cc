// The module's entry point; commands/table.cc has the commands.
//
// Threads: the server's main thread runs every command, owns the keyspace and sends every reply. Each device
// has a queue with workers that see immutable values only (see commands/task.h and runtime/queue.h).

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/memory.h"
#include "commands/configuration.h"
#include "commands/info_sections.h"
#include "commands/table.h"
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

// How long a shutdown waits for models and scripts that run. They cannot be cut, and some never end.
constexpr std::chrono::seconds kShutdownPatience{5};

void OnShutdown(RedisModuleCtx*, RedisModuleEvent, uint64_t, void*) noexcept {
  // Workers must not outlive libtorch's globals, which the process destroys as it exits; none of them may
  // wait for this thread while this thread waits for them.
  redis::StopServingWorkers();
  if (StopQueues(kShutdownPatience)) return;
  // What still runs is cut by the end of the process, which then must destroy nothing that it uses.
  on_exit(
      [](int status, void*) {
        std::fflush(nullptr);
        _exit(status);
      },
      nullptr);
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
      !persist::RegisterScriptType(ctx) || !commands::RegisterCommands(ctx) ||
      !commands::RegisterInfoSections(ctx)) {
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
  if (const char* missing = redis::LoadApi(ctx)) {
    if (redis::Log) {
      redis::Log(ctx, "warning",
                 "this server is not supported: it has no RedisModule_%s. Redis 7.2 and later, and Valkey 8, "
                 "have all",
                 missing);
    }
    return redis::kErr;
  }
  if (redis::IsModuleNameBusy("ai")) return redis::kErr;
  redis::SetModuleAttribs(ctx, "ai", kVersion, redis::kApiVersion);
  return redis::Guarded<int>(
      redis::kErr, [&] { return Load(ctx, redis::Args(std::span(argv, static_cast<size_t>(argc)))); });
}
