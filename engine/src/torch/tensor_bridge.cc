#include "torch/tensor_bridge.h"

#include <ATen/Functions.h>
#include <ATen/ops/from_blob.h>

#include <array>
#include <optional>
#include <string>

namespace redisai::torch_backend {
namespace {

// In the order of DType; STRING, the last, has none.
constexpr std::array<at::ScalarType, kDTypes.size() - 1> kScalarTypes = {
    at::kFloat, at::kDouble, at::kChar, at::kShort, at::kInt,      at::kLong,
    at::kByte,  at::kUInt16, at::kBool, at::kHalf,  at::kBFloat16,
};
static_assert(static_cast<size_t>(DType::kString) == kScalarTypes.size());

std::optional<DType> DTypeOf(at::ScalarType scalar_type) {
  for (size_t i = 0; i < kScalarTypes.size(); ++i) {
    if (kScalarTypes[i] == scalar_type) return static_cast<DType>(i);
  }
  return std::nullopt;
}

}  // namespace

at::Tensor View(const TensorRef& tensor) {
  TORCH_CHECK(tensor->dtype() != DType::kString, "STRING tensors are not for models");
  return at::from_blob(
      const_cast<char*>(tensor->data()), tensor->dims(), [held = tensor](void*) {},
      at::TensorOptions().dtype(kScalarTypes[static_cast<size_t>(tensor->dtype())]));
}

Result<TensorRef> Copy(const at::Tensor& tensor) {
  if (!tensor.defined()) return Error{"the model returned an undefined tensor"};
  const auto dtype = DTypeOf(tensor.scalar_type());
  if (!dtype)
    return Error{std::string("the model returned a tensor of unsupported type ") +
                 toString(tensor.scalar_type())};
  auto copy = Tensor::Uninitialized(*dtype, tensor.sizes());
  // One pass: libtorch writes straight into our memory, whatever the source's device and strides.
  if (copy && tensor.numel() > 0) View(*copy).copy_(tensor);
  return copy;
}

}  // namespace redisai::torch_backend
