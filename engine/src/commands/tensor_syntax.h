// The arguments and the reply of a tensor, as commands and DAG operations share them.
#pragma once

#include "base/result.h"
#include "dag/graph.h"
#include "redis/api.h"
#include "redis/args.h"
#include "values/tensor.h"

namespace redisai::commands {

// `type dim… [BLOB data | VALUES v…]`, up to the end of the arguments.
Result<TensorRef> ParseTensor(redis::Args args);

// `[META] [BLOB | VALUES]`, up to the end of the arguments.
Result<TensorFormat> ParseTensorFormat(redis::Args args);

int ReplyTensor(RedisModuleCtx* ctx, const Tensor& tensor, TensorFormat format);

}  // namespace redisai::commands
