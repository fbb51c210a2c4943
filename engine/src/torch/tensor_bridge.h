// Internal to torch/: our tensors as libtorch's, and back.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/result.h"
#include "values/tensor.h"

namespace redisai::torch_backend {

// A view of our tensor's memory that holds a reference to it. Our tensors are immutable: run no operation on
// the view that writes to its input. Throws for STRING tensors, which libtorch does not have.
at::Tensor View(const TensorRef& tensor);

// A copy in our memory; from any device, contiguous or not.
Result<TensorRef> Copy(const at::Tensor& tensor);

}  // namespace redisai::torch_backend
