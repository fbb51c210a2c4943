// AI.MODELDEL key

#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "redis/reply.h"

namespace redisai::commands {

int ModelDel(RedisModuleCtx* ctx, redis::Args args) {
  RedisModuleString* key = args.NextString();
  const auto model = ReadModel(ctx, key);
  if (!model) return redis::ReplyError(ctx, model.error());
  DeleteValue(ctx, key, "AI.MODELDEL", "ai.modeldel");
  return redis::ReplyOk(ctx);
}

}  // namespace redisai::commands
