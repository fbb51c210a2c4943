// AI.TENSORGET key [META] [BLOB | VALUES]

#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "commands/tensor_syntax.h"
#include "redis/reply.h"

namespace redisai::commands {

int TensorGet(RedisModuleCtx* ctx, redis::Args args) {
  RedisModuleString* key = args.NextString();
  const auto format = ParseTensorFormat(args);
  if (!format) return redis::ReplyError(ctx, format.error());
  const auto tensor = ReadTensor(ctx, key);
  if (!tensor) return redis::ReplyError(ctx, tensor.error());
  return ReplyTensor(ctx, **tensor, *format);
}

}  // namespace redisai::commands
