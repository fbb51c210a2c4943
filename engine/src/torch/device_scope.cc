// Through libtorch's interface to devices of any kind, so that the engine builds without CUDA's headers.
// Weights and results are copied to and from a GPU by calls that return when the copy is done, so that a
// stream never waits for another.

#include "torch/device_scope.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <map>
#include <optional>

namespace redisai::torch_backend {
namespace {

std::optional<c10::Stream> StreamOf(at::Device device) {
  if (device.is_cpu()) return std::nullopt;
  thread_local std::map<c10::DeviceIndex, c10::Stream> streams;
  auto stream = streams.find(device.index());
  if (stream == streams.end()) {
    const c10::impl::VirtualGuardImpl devices(device.type());
    stream = streams.emplace(device.index(), devices.getStreamFromGlobalPool(device)).first;
  }
  return stream->second;
}

}  // namespace

DeviceScope::DeviceScope(at::Device device) : guard_(StreamOf(device)) {}

}  // namespace redisai::torch_backend
