// Internal to torch/: where this thread's work on a model's device goes.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/StreamGuard.h>

namespace redisai::torch_backend {

// While it lives, what this thread asks of a GPU goes to that device and to a stream that is this thread's
// own there, so that workers do not wait for one another. Nothing on the processor.
class DeviceScope {
 public:
  explicit DeviceScope(at::Device device);

 private:
  const c10::OptionalStreamGuard guard_;
};

}  // namespace redisai::torch_backend
