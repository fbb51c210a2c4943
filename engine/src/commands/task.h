// Work that must not hold up the server: it runs on a device's queue where the client can wait, and at once
// where it cannot (in a script, in MULTI, from the master, while loading).
//
// Threads: a task is made and finished on the main thread; only Work runs on a worker. Between the two the
// keyspace may have changed in every way, so Finish opens its keys anew.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.h"
#include "redis/api.h"
#include "values/device.h"

namespace redisai::commands {

class Task {
 public:
  virtual ~Task() = default;
  // Computes; touches neither the keyspace nor the client. Never throws.
  virtual void Work() noexcept = 0;
  // Writes the results and replies.
  virtual int Finish(RedisModuleCtx* ctx) = 0;
};

// Runs the task and replies, now or later. A task that still waits in the queue after `timeout_ms` is dropped
// and answered with TIMEDOUT.
int RunTask(RedisModuleCtx* ctx, const Device& device, std::unique_ptr<Task> task,
            std::optional<int64_t> timeout_ms = std::nullopt);

}  // namespace redisai::commands
