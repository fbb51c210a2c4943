#include "commands/task.h"

#include <chrono>
#include <utility>

#include "redis/guard.h"
#include "redis/reply.h"
#include "runtime/devices.h"

namespace redisai::commands {
namespace {

using Clock = std::chrono::steady_clock;

bool MayBlock(RedisModuleCtx* ctx) {
  constexpr int kMustNot =
      redis::kInLua | redis::kInMulti | redis::kDenyBlocking | redis::kFromMaster | redis::kLoading;
  return (redis::GetContextFlags(ctx) & kMustNot) == 0;
}

// What travels back with the unblocked client; the server frees it on the main thread, even if the client is
// gone.
struct Completion {
  enum class State : uint8_t { kDone, kTimedOut, kCancelled };
  std::unique_ptr<Task> task;
  State state = State::kDone;
};

int FinishCompletion(RedisModuleCtx* ctx, redis::Args) {
  const auto& completion = *static_cast<Completion*>(redis::GetBlockedClientPrivateData(ctx));
  switch (completion.state) {
    case Completion::State::kTimedOut:
      return redis::ReplyWithSimpleString(ctx, "TIMEDOUT");
    case Completion::State::kCancelled:
      return redis::ReplyError(ctx, Error{"the server is shutting down"});
    case Completion::State::kDone:
      break;
  }
  return completion.task->Finish(ctx);
}

void FreeCompletion(RedisModuleCtx*, void* completion) noexcept {
  delete static_cast<Completion*>(completion);
}

class BlockedClientJob final : public Job {
 public:
  BlockedClientJob(RedisModuleBlockedClient* client, std::unique_ptr<Task> task, Clock::time_point deadline)
      : client_(client), completion_(new Completion{std::move(task)}), deadline_(deadline) {}

  void Run(bool cancelled) noexcept override {
    if (cancelled) {
      completion_->state = Completion::State::kCancelled;
    } else if (Clock::now() > deadline_) {
      completion_->state = Completion::State::kTimedOut;
    } else {
      completion_->task->Work();
    }
    redis::UnblockClient(client_, completion_.release());
  }

 private:
  RedisModuleBlockedClient* client_;
  std::unique_ptr<Completion> completion_;
  Clock::time_point deadline_;
};

}  // namespace

int RunTask(RedisModuleCtx* ctx, const Device& device, std::unique_ptr<Task> task,
            std::optional<int64_t> timeout_ms) {
  if (!MayBlock(ctx)) {
    task->Work();
    return task->Finish(ctx);
  }
  const auto deadline =
      timeout_ms ? Clock::now() + std::chrono::milliseconds(*timeout_ms) : Clock::time_point::max();
  Queue& queue = QueueOf(device);
  RedisModuleBlockedClient* client =
      redis::BlockClient(ctx, redis::Command<FinishCompletion, 0>, nullptr, FreeCompletion, 0);
  queue.Push(std::make_unique<BlockedClientJob>(client, std::move(task), deadline));
  return redis::kOk;
}

}  // namespace redisai::commands
