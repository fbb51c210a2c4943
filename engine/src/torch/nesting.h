// Internal to torch/: bounds how deeply values nest while TorchScript runs.
//
// libtorch frees and prints lists in lists by recursion and knows no limit of its own, so that a loop around
// `x = [x]` ends the process. Only a variable that can hold values of any type can nest without end; what
// puts such a value into another is checked.
#pragma once

#include <torch/csrc/jit/api/compilation_unit.h>

namespace redisai::torch_backend {

// Once, while the module loads.
void RegisterNestingOperators();

// Puts checks into the functions' graphs. Before their first run.
void BoundNesting(torch::jit::CompilationUnit& unit);

}  // namespace redisai::torch_backend
