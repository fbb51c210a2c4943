// Runs the work of one operation, a model's or a script's.
#pragma once

#include <span>

#include "base/result.h"
#include "dag/graph.h"
#include "dag/model_run.h"

namespace redisai {

// On any thread; counted for AI.INFO. The result has as many tensors as the operation has outputs. Never
// throws.
Result<Tensors> RunWork(const RunOp& op, std::span<const TensorRef> inputs);

}  // namespace redisai
