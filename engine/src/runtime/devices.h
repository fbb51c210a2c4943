// The queues of all devices; each is made when its device is first used. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/queue.h"
#include "values/device.h"

namespace redisai {

Queue& QueueOf(const Device& device);

// Whether this thread is a worker of one of the queues, and so must not touch the keyspace.
bool OnWorker();

// Takes back the jobs of a request that wait in any queue.
JobGroup TakeBack(uint64_t request_id);

// For INFO; main thread only.
struct QueueState {
  std::string name;
  size_t waiting;
  std::vector<double> worker_cpu_seconds;
};
std::vector<QueueState> QueueStates();

// Cancels what waits in every queue and joins the workers; false when runs have not ended after `patience`,
// and go on. The server is going down.
[[nodiscard]] bool StopQueues(Clock::duration patience);

}  // namespace redisai
