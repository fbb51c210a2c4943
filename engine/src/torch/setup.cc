// Process-wide settings of libtorch, and what it can say of this machine.
//
// Of TorchScript's graph executors the simple one is chosen, which does not profile. Profiling takes
// milliseconds when a model first runs and again when its input shapes change, a pause for everyone where
// models run on the server's main thread (first run 8.4 ms; legacy executor 7.3; simple 1.2), and gained
// nothing on frozen feed-forward models (22 us a call by each). The legacy executor's shape analysis,
// moreover, takes time exponential in the depth of loops.

#include <ATen/Parallel.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include "torch/engine.h"
#include "torch/guard.h"
#include "torch/script_operators.h"

namespace redisai::torch_backend {
namespace {

// Written by Setup, before other threads exist.
int intra_op_threads_of_each_thread = 1;

}  // namespace

void Setup(int intra_op_threads, int inter_op_threads) {
  intra_op_threads_of_each_thread = intra_op_threads;
  at::set_num_threads(intra_op_threads);
  at::set_num_interop_threads(inter_op_threads);
  torch::jit::getExecutorMode() = true;
  torch::jit::getProfilingMode() = false;
  RegisterScriptOperators();
}

// OpenMP keeps the count for each thread that starts a parallel region.
void SetupThread() { at::set_num_threads(intra_op_threads_of_each_thread); }

std::string Version() { return TORCH_VERSION; }

Result<std::monostate> CheckDevice(const Device& device) {
  return Catching("the device cannot be used", [&]() -> Result<std::monostate> {
    if (device.kind == Device::Kind::kCpu) return std::monostate{};
    if (!torch::cuda::is_available()) {
      return Error{"Invalid DEVICE: " + device.name() +
                   " needs CUDA, which this torch or this machine lacks"};
    }
    if (device.number.value_or(0) >= static_cast<int>(torch::cuda::device_count())) {
      return Error{"Invalid DEVICE: there is no " + device.name() + " on this machine"};
    }
    return std::monostate{};
  });
}

}  // namespace redisai::torch_backend
