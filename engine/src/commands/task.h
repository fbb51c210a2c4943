// Work that must not hold up the server: it runs on a device's queue where the client can wait, and at once
// where it cannot (in a script, in MULTI, from the master, while loading).
//
// Threads: a task is made and finished on the main thread; between the two it belongs to a job on a queue.
// Meanwhile the keyspace may have changed in every way, so Finish opens its keys anew.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.h"
#include "redis/api.h"
#include "runtime/queue.h"
#include "values/device.h"

namespace redisai::commands {

class Task {
 public:
  virtual ~Task() = default;
  // Computes; touches neither the keyspace nor the client. Never throws.
  virtual void Work() noexcept = 0;
  // Writes the results and replies, on the main thread.
  virtual int Finish(RedisModuleCtx* ctx) = 0;
};

// Whether the client of this command may be made to wait.
bool MayBlock(RedisModuleCtx* ctx);

struct Completion;

// A client that waits for its task. Whoever holds this answers once, from any thread.
class WaitingClient {
 public:
  WaitingClient(RedisModuleCtx* ctx, std::unique_ptr<Task> task);
  ~WaitingClient();
  WaitingClient(WaitingClient&&) noexcept;

  Task& task() const;
  // What happens between the two is the command's time in commandstats, LATENCY and SLOWLOG. From any thread,
  // one at a time, before Done and End.
  void WorkBegins();
  void WorkEnds();
  // The main thread will finish the task, which replies.
  void Done();
  // The main thread will reply that the task did not run.
  void End(Job::Ending ending);
  // Ends those jobs of the request that still wait in a queue in `timeout_ms`. Main thread.
  void LimitWait(RedisModuleCtx* ctx, uint64_t request_id, int64_t timeout_ms);

 private:
  RedisModuleBlockedClient* client_;
  std::unique_ptr<Completion> completion_;
};

// Runs the task and replies, now or later.
int RunTask(RedisModuleCtx* ctx, const Device& device, std::unique_ptr<Task> task);

}  // namespace redisai::commands
