// Internal to torch/: `redis.execute`, `redis.asList` and `redisAI.model_execute`, as operators of
// TorchScript.
//
// Operators are global to the process, so that any TorchScript can name them, a stored model too. They work
// only on a thread that is running a script, and there for that script: HostScope says which.
#pragma once

#include <ATen/core/Tensor.h>

#include "values/script.h"

namespace redisai::torch_backend {

// Once, while the module loads.
void RegisterScriptOperators();

// While it lives, operators on this thread ask `host`; null while a model runs, which may ask for nothing.
class HostScope {
 public:
  // Throws when scripts have called scripts too deeply, since each takes stack.
  HostScope(ScriptHost* host, at::Device device);
  ~HostScope();
  HostScope(const HostScope&) = delete;
  HostScope& operator=(const HostScope&) = delete;

  ScriptHost* host() const { return host_; }
  // Where the script's tensors are.
  at::Device device() const { return device_; }

 private:
  ScriptHost* const host_;
  const at::Device device_;
  const HostScope* const outer_;
  const int depth_;
};

}  // namespace redisai::torch_backend
