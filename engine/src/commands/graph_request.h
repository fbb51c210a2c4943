// A client's graph on its way through the queues: a job for each operation that can run, joined with other
// clients' where the model says so.
//
// Threads: the main thread begins it; workers run its jobs, those of different devices at the same time. The
// lock guards the run and what is counted about it. It is not held while an operation runs, nor while a job
// is pushed, since a queue that has stopped ends the job there and then.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "base/result.h"
#include "commands/task.h"
#include "dag/model_run.h"
#include "dag/run.h"
#include "runtime/queue.h"

namespace redisai::commands {

class GraphRequest : public std::enable_shared_from_this<GraphRequest> {
 public:
  // `run` is that of the client's task and has not ended.
  GraphRequest(WaitingClient client, GraphRun& run) : client_(std::move(client)), run_(run) {}

  // Queues the operations that can start. What still waits in a queue `timeout_ms` from now, or would have
  // to, ends the request. Once, on the main thread.
  void Begin(RedisModuleCtx* ctx, std::optional<int64_t> timeout_ms);

  // A worker has taken an operation and runs it now.
  void RunBegins();
  // An operation has run: queues what can start now, or answers the client.
  void Complete(size_t index, Result<Tensors> outputs);
  // An operation will not run, and so the request ends once nothing of it runs any more.
  void End(Job::Ending ending);

 private:
  // Marks what can start as started, and gives the jobs. Call with the lock held.
  JobGroup StartReady();
  // After the lock was released. `last` is whether nothing of this request is in a queue or runs.
  void Proceed(JobGroup jobs, bool last);

  WaitingClient client_;
  std::mutex mutex_;
  GraphRun& run_;
  std::optional<Clock::time_point> deadline_;
  std::optional<Job::Ending> ending_;
  size_t running_ = 0;         // on workers now
  size_t jobs_in_flight_ = 0;  // in a queue or running
  const uint64_t id_ = NewRequestId();
};

}  // namespace redisai::commands
