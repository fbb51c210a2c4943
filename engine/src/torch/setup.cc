// Process-wide settings of libtorch, and what it can say of this machine.
//
// Of TorchScript's graph executors the simple one is chosen, which neither profiles nor specialises. What a
// model's first run costs is a pause for everyone where models run on the server's main thread: medians of
// six interleaved processes, a feed-forward encoder, 1.3 ms simple, 5.3 profiling, 7.8 legacy. Afterwards the
// frozen encoder takes the same in all three within the machine's noise, for 1, 64 and 1,024 rows.

#include <ATen/Parallel.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include "torch/engine.h"
#include "torch/guard.h"
#include "torch/nesting.h"
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
  RegisterNestingOperators();
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
