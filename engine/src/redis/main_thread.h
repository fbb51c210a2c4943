// Lets a worker have something done on the server's main thread, and waits for it.
//
// Threads: workers call RunOnMainThread; the main thread does what they ask just before it sleeps, between
// commands. `mutex` guards the list and the state of each request, and is not held while a request is done.
//
// The server's own lock (RM_ThreadSafeContextLock) was rejected: at shutdown the main thread holds it and
// waits for the workers, and one that waits for the lock cannot be called off. A callback straight from
// RM_EventLoopAddOneShot was rejected too: it also comes while a long Lua script runs, which must see no one
// else's writes.
#pragma once

#include <cstdint>
#include <functional>

#include "redis/api.h"

namespace redisai::redis {

// Once, while the module loads; false when the server has no such events.
bool ServeWorkers(RedisModuleCtx* ctx);

// Counts the rounds of the server's event loop: commands of one round had come before it began. Main thread.
uint64_t EventLoopRound();

// Does `work` on the main thread; false when the server is going down and it was not done. `work` must not
// throw. Not for the main thread itself.
[[nodiscard]] bool RunOnMainThread(const std::function<void()>& work);

// Calls off all that wait, now and from now on. Main thread, before it joins the workers.
void StopServingWorkers();

}  // namespace redisai::redis
