#include "runtime/devices.h"

#include <map>
#include <memory>
#include <string>

#include "torch/engine.h"

namespace redisai {
namespace {

RuntimeOptions runtime_options;

// Never destroyed: at exit the workers have been joined by StopQueues, or must not be waited for.
std::map<std::string, std::unique_ptr<Queue>>& Queues() {
  static auto* queues = new std::map<std::string, std::unique_ptr<Queue>>();
  return *queues;
}

}  // namespace

void ConfigureRuntime(const RuntimeOptions& options) { runtime_options = options; }

Queue& QueueOf(const Device& device) {
  auto& queue = Queues()[device.name()];
  if (!queue) {
    queue =
        std::make_unique<Queue>(device.name(), runtime_options.threads_per_queue, torch_backend::SetupThread);
  }
  return *queue;
}

void StopQueues() {
  for (const auto& [name, queue] : Queues()) queue->Stop();
}

}  // namespace redisai
