// Internal to torch/: bounds on TorchScript source.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"

namespace redisai::torch_backend {

// Why `source` is not given to the compiler, if it is not: the compiler follows brackets, operators and
// branches by recursion and knows no limit of its own, so that some kilobytes of `(((…` end the process.
std::optional<Error> CheckSource(std::string_view source);

}  // namespace redisai::torch_backend
