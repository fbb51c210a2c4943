// Single elements of a tensor of numbers, as AI.TENSORSET's VALUES give them and AI.TENSORGET's VALUES show
// them.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "values/dtype.h"
#include "values/tensor.h"

namespace redisai::torch_backend {

// Parses `text` into the element at `target`; false when it is not a number of this type or does not fit in
// it.
[[nodiscard]] bool ParseElement(DType dtype, std::string_view text, char* target);

// Integers and BOOL as integers, FLOAT, HALF and BFLOAT16 as float, DOUBLE as double: what their shortest
// text needs.
using Element = std::variant<int64_t, float, double>;
Element ReadElement(const Tensor& tensor, int64_t index);

}  // namespace redisai::torch_backend
