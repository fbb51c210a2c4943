// The queues of all devices; each is made when its device is first used. Main thread only.
#pragma once

#include "runtime/queue.h"
#include "values/device.h"

namespace redisai {

struct RuntimeOptions {
  int threads_per_queue = 1;
};

void ConfigureRuntime(const RuntimeOptions& options);

Queue& QueueOf(const Device& device);

// Stops every queue; the server is going down.
void StopQueues();

}  // namespace redisai
