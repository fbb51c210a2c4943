#include "runtime/devices.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/settings.h"
#include "torch/engine.h"

namespace redisai {
namespace {

thread_local bool on_worker = false;

void SetupWorker() {
  on_worker = true;
  torch_backend::SetupThread();
}

std::mutex queues_mutex;  // guards the map alone; queues have locks of their own and are never removed

// Never destroyed: at exit the workers have been joined by StopQueues, or are not waited for.
std::map<std::string, std::unique_ptr<Queue>>& Queues() {
  static auto* queues = new std::map<std::string, std::unique_ptr<Queue>>();
  return *queues;
}

// Without the lock: a queue that stops joins its workers, and those may be asking for another queue.
std::vector<Queue*> AllQueues() {
  const std::lock_guard lock(queues_mutex);
  std::vector<Queue*> all;
  for (const auto& [name, queue] : Queues()) {
    if (queue) all.push_back(queue.get());
  }
  return all;
}

}  // namespace

Queue& QueueOf(const Device& device) {
  const std::lock_guard lock(queues_mutex);
  auto& queue = Queues()[device.name()];
  if (!queue) {
    const auto thread_count = static_cast<int>(GetSettings().threads_per_queue);
    queue = std::make_unique<Queue>(device.name(), thread_count, SetupWorker);
  }
  return *queue;
}

bool OnWorker() { return on_worker; }

JobGroup TakeBack(uint64_t request_id) {
  JobGroup taken;
  for (Queue* queue : AllQueues()) std::ranges::move(queue->Remove(request_id), std::back_inserter(taken));
  return taken;
}

std::vector<QueueState> QueueStates() {
  const std::lock_guard lock(queues_mutex);
  std::vector<QueueState> states;
  // RedisAI has the CPU's queue from the start; ours is shown as what it is, idle.
  if (const Device cpu; !Queues().contains(cpu.name())) {
    states.push_back(
        {cpu.name(), 0, std::vector<double>(static_cast<size_t>(GetSettings().threads_per_queue))});
  }
  for (const auto& [name, queue] : Queues()) {
    if (queue) states.push_back({name, queue->waiting(), queue->WorkerCpuSeconds()});
  }
  return states;
}

bool StopQueues(Clock::duration patience) {
  const auto deadline = Clock::now() + patience;
  const auto queues = AllQueues();
  for (Queue* queue : queues) queue->Refuse();
  return std::ranges::all_of(queues, [deadline](Queue* queue) { return queue->Join(deadline); });
}

}  // namespace redisai
