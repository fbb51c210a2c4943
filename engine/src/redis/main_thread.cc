#include "redis/main_thread.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

namespace redisai::redis {
namespace {

struct Request {
  const std::function<void()>& work;
  bool done = false;
};

struct Board {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Request*> waiting;  // each on the stack of the worker that waits for it
  bool stopped = false;
  // Whether `waiting` has anything, without the lock: the main thread asks each time it is about to sleep.
  std::atomic<bool> any{false};
};

// Never destroyed: a worker may still look at it while the process exits.
Board& TheBoard() {
  static auto* board = new Board();
  return *board;
}

uint64_t rounds = 0;  // main thread only

void Nothing(void*) noexcept {}

// Any one-shot makes the event loop go round once more.
void WakeMainThread() { EventLoopAddOneShot(Nothing, nullptr); }

void OnEventLoop(RedisModuleCtx*, RedisModuleEvent, uint64_t subevent, void*) noexcept {
  if (subevent != kBeforeSleep) return;
  ++rounds;
  Board& board = TheBoard();
  if (!board.any) return;
  std::vector<Request*> requests;
  {
    const std::lock_guard lock(board.mutex);
    requests.swap(board.waiting);
    board.any = false;
  }
  for (const Request* request : requests) request->work();
  {
    const std::lock_guard lock(board.mutex);
    for (Request* request : requests) request->done = true;
  }
  board.changed.notify_all();
  // What was written goes to replicas, the AOF and other clients on the loop's next round.
  WakeMainThread();
}

}  // namespace

bool ServeWorkers(RedisModuleCtx* ctx) {
  return SubscribeToServerEvent(ctx, kEventLoopEvent, OnEventLoop) == kOk;
}

uint64_t EventLoopRound() { return rounds; }

bool RunOnMainThread(const std::function<void()>& work) {
  Board& board = TheBoard();
  Request request{work};
  std::unique_lock lock(board.mutex);
  if (board.stopped) return false;
  board.waiting.push_back(&request);
  board.any = true;
  WakeMainThread();
  // After the stop the main thread does no more work, so the request may go with this stack.
  board.changed.wait(lock, [&] { return request.done || board.stopped; });
  return request.done;
}

void StopServingWorkers() {
  Board& board = TheBoard();
  {
    const std::lock_guard lock(board.mutex);
    board.stopped = true;
    board.waiting.clear();
    board.any = false;
  }
  board.changed.notify_all();
}

}  // namespace redisai::redis
