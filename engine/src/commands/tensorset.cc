// AI.TENSORSET key type dim… [BLOB data | VALUES v…]

#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "commands/tensor_syntax.h"
#include "persist/types.h"
#include "redis/reply.h"

namespace redisai::commands {

int TensorSet(RedisModuleCtx* ctx, redis::Args args) {
  RedisModuleString* key = args.NextString();
  auto tensor = ParseTensor(args);
  if (!tensor) return redis::ReplyError(ctx, tensor.error());
  if (const auto error = CheckWritable(ctx, key, persist::TensorType()))
    return redis::ReplyError(ctx, *error);
  WriteTensor(ctx, key, std::move(*tensor));
  return redis::ReplyOk(ctx);
}

}  // namespace redisai::commands
