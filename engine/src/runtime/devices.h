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

// Stops every queue; the server is going down.
void StopQueues();

}  // namespace redisai
