#include "commands/task.h"

#include <optional>
#include <utility>

#include "redis/guard.h"
#include "redis/reply.h"
#include "runtime/devices.h"

namespace redisai::commands {

// What travels back with the unblocked client; the server frees it on the main thread, even if the client is
// gone.
struct Completion {
  std::unique_ptr<Task> task;
  std::optional<Job::Ending> ending;  // why the task did not run
  std::optional<RedisModuleTimerID> timer;
};

namespace {

int FinishCompletion(RedisModuleCtx* ctx, redis::Args) {
  const auto& completion = *static_cast<Completion*>(redis::GetBlockedClientPrivateData(ctx));
  if (completion.ending == Job::Ending::kTimedOut) return redis::ReplyWithSimpleString(ctx, "TIMEDOUT");
  if (completion.ending) return redis::ReplyError(ctx, Error{"the server is shutting down"});
  return completion.task->Finish(ctx);
}

void FreeCompletion(RedisModuleCtx* ctx, void* data) noexcept {
  const std::unique_ptr<Completion> completion(static_cast<Completion*>(data));
  if (completion->timer) redis::StopTimer(ctx, *completion->timer, nullptr);
}

void OnWaitedTooLong(RedisModuleCtx*, void* request_id) noexcept {
  // A job that is running, or has run, is in no queue.
  for (const auto& job : TakeBack(reinterpret_cast<uintptr_t>(request_id))) {
    job->End(Job::Ending::kTimedOut);
  }
}

class TaskJob final : public Job {
 public:
  explicit TaskJob(WaitingClient client) : Job(NewRequestId()), client_(std::move(client)) {}

  void Run(JobGroup) noexcept override {
    client_.WorkBegins();
    client_.task().Work();
    client_.WorkEnds();
    client_.Done();
  }
  void End(Ending ending) noexcept override { client_.End(ending); }

 private:
  WaitingClient client_;
};

}  // namespace

bool MayBlock(RedisModuleCtx* ctx) {
  constexpr int kMustNot =
      redis::kInLua | redis::kInMulti | redis::kDenyBlocking | redis::kFromMaster | redis::kLoading;
  return (redis::GetContextFlags(ctx) & kMustNot) == 0;
}

WaitingClient::WaitingClient(RedisModuleCtx* ctx, std::unique_ptr<Task> task)
    : client_(redis::BlockClient(ctx, redis::Callback<FinishCompletion>, nullptr, FreeCompletion, 0)),
      completion_(new Completion{std::move(task), std::nullopt, std::nullopt}) {}

WaitingClient::WaitingClient(WaitingClient&&) noexcept = default;
WaitingClient::~WaitingClient() = default;

Task& WaitingClient::task() const { return *completion_->task; }

void WaitingClient::WorkBegins() { redis::BlockedClientMeasureTimeStart(client_); }

void WaitingClient::WorkEnds() { redis::BlockedClientMeasureTimeEnd(client_); }

void WaitingClient::Done() { redis::UnblockClient(client_, completion_.release()); }

void WaitingClient::End(Job::Ending ending) {
  completion_->ending = ending;
  Done();
}

void WaitingClient::LimitWait(RedisModuleCtx* ctx, uint64_t request_id, int64_t timeout_ms) {
  completion_->timer =
      redis::CreateTimer(ctx, timeout_ms, OnWaitedTooLong, reinterpret_cast<void*>(request_id));
}

int RunTask(RedisModuleCtx* ctx, const Device& device, std::unique_ptr<Task> task) {
  if (!MayBlock(ctx)) {
    task->Work();
    return task->Finish(ctx);
  }
  Queue& queue = QueueOf(device);
  queue.Push(std::make_unique<TaskJob>(WaitingClient(ctx, std::move(task))));
  return redis::kOk;
}

}  // namespace redisai::commands
