// Internal to torch/: our tensors as libtorch's, and back.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "values/device.h"
#include "values/tensor.h"

namespace redisai::torch_backend {

at::Device ToTorch(const Device& device);

// A view of our tensor's memory that holds a reference to it. Our tensors are immutable: run no operation on
// the view that writes to its input. Throws for STRING tensors, which libtorch does not have.
at::Tensor View(const TensorRef& tensor);

// A copy on `device` that a script may write to.
at::Tensor ScriptInput(const TensorRef& tensor, at::Device device);

// A copy in our memory; from any device, contiguous or not.
Result<TensorRef> Copy(const at::Tensor& tensor);

// Copies of the tensors that `who`, the model or the script, returned: one, or those of a tuple or list.
Result<std::vector<TensorRef>> CopyAll(const c10::IValue& result, const std::string& who);

}  // namespace redisai::torch_backend
