#include "torch/tensor_bridge.h"

#include <ATen/Functions.h>
#include <ATen/ops/from_blob.h>

#include <array>
#include <cstring>
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

// Whether its elements lie in our memory's order where the processor can read them. libtorch's own copy takes
// 2 us to find out what to do.
bool IsPlain(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.layout() == at::kStrided && tensor.is_contiguous() && !tensor.is_neg();
}

}  // namespace

at::Device ToTorch(const Device& device) {
  // `CPU:n` names a queue; libtorch knows one CPU.
  if (device.kind == Device::Kind::kCpu) return at::Device(at::kCPU);
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(device.number.value_or(0)));
}

at::Tensor View(const TensorRef& tensor) {
  TORCH_CHECK(tensor->dtype() != DType::kString, "STRING tensors are not for models and scripts");
  return at::from_blob(
      const_cast<char*>(tensor->data()), tensor->dims(), [held = tensor](void*) {},
      at::TensorOptions().dtype(kScalarTypes[static_cast<size_t>(tensor->dtype())]));
}

at::Tensor ScriptInput(const TensorRef& tensor, at::Device device) {
  const at::Tensor view = View(tensor);
  return device.is_cpu() ? view.clone() : view.to(device);
}

Result<TensorRef> Copy(const at::Tensor& tensor) {
  if (!tensor.defined()) return Error{"an undefined tensor"};
  const auto dtype = DTypeOf(tensor.scalar_type());
  if (!dtype) return Error{std::string("a tensor of unsupported type ") + toString(tensor.scalar_type())};
  auto copy = Tensor::Uninitialized(*dtype, tensor.sizes());
  if (!copy || tensor.numel() == 0) return copy;
  if (IsPlain(tensor)) {
    std::memcpy(Tensor::MutableData(*copy), tensor.const_data_ptr(), (*copy)->size_bytes());
  } else {
    // One pass: libtorch writes straight into our memory, whatever the source's device and strides.
    View(*copy).copy_(tensor);
  }
  return copy;
}

Result<std::vector<TensorRef>> CopyAll(const c10::IValue& result, const std::string& who) {
  std::vector<c10::IValue> elements;
  if (result.isTuple()) {
    elements = result.toTupleRef().elements().vec();
  } else if (result.isList()) {
    elements = result.toListRef().vec();
  } else if (!result.isNone()) {
    elements = {result};
  }
  std::vector<TensorRef> outputs;
  outputs.reserve(elements.size());
  for (const c10::IValue& element : elements) {
    if (!element.isTensor())
      return Error{who + " returned " + element.tagKind() + " where a tensor was expected"};
    auto copy = Copy(element.toTensor());
    if (!copy) return Error{who + " returned " + copy.error().text};
    outputs.push_back(*copy);
  }
  return outputs;
}

}  // namespace redisai::torch_backend
