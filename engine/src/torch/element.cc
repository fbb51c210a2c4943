#include "torch/element.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "base/text.h"

namespace redisai::torch_backend {
namespace {

// The C++ type of each dtype, in one place: calls `body` with a value of it.
template <typename Body>
auto WithType(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::kFloat:
      return body(float{});
    case DType::kDouble:
      return body(double{});
    case DType::kInt8:
      return body(int8_t{});
    case DType::kInt16:
      return body(int16_t{});
    case DType::kInt32:
      return body(int32_t{});
    case DType::kInt64:
      return body(int64_t{});
    case DType::kUint8:
      return body(uint8_t{});
    case DType::kUint16:
      return body(uint16_t{});
    case DType::kBool:
      return body(bool{});
    case DType::kHalf:
      return body(c10::Half{});
    case DType::kBfloat16:
      return body(c10::BFloat16{});
    case DType::kString:
      break;
  }
  __builtin_unreachable();
}

template <typename T>
std::optional<T> Parse(std::string_view text) {
  if constexpr (std::is_same_v<T, bool>) {
    if (text == "0" || text == "1") return text == "1";
    return std::nullopt;
  } else if constexpr (std::is_integral_v<T>) {
    return ParseNumber<T>(text);
  } else if constexpr (std::is_same_v<T, double>) {
    return ParseNumber<double>(text);
  } else {
    // FLOAT, and the two small formats by way of it; a finite number that becomes infinite does not fit.
    const auto number = ParseNumber<double>(text);
    if (!number) return std::nullopt;
    const T narrowed = static_cast<T>(static_cast<float>(*number));
    if (std::isfinite(*number) && !std::isfinite(static_cast<float>(narrowed))) return std::nullopt;
    return narrowed;
  }
}

}  // namespace

bool ParseElement(DType dtype, std::string_view text, char* target) {
  if (text.starts_with('+')) text.remove_prefix(1);
  return WithType(dtype, [&]<typename T>(T) {
    const std::optional<T> element = Parse<T>(text);
    if (element) std::memcpy(target, &*element, sizeof(T));
    return element.has_value();
  });
}

Element ReadElement(const Tensor& tensor, int64_t index) {
  return WithType(tensor.dtype(), [&]<typename T>(T element) -> Element {
    std::memcpy(&element, tensor.data() + static_cast<size_t>(index) * sizeof(T), sizeof(T));
    if constexpr (std::is_integral_v<T>) {
      return static_cast<int64_t>(element);
    } else if constexpr (std::is_same_v<T, double>) {
      return element;
    } else {
      return static_cast<float>(element);
    }
  });
}

}  // namespace redisai::torch_backend
