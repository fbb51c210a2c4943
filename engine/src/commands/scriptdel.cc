// AI.SCRIPTDEL key

#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "redis/reply.h"

namespace redisai::commands {

int ScriptDel(RedisModuleCtx* ctx, redis::Args args) {
  RedisModuleString* key = args.NextString();
  const auto script = ReadScript(ctx, key);
  if (!script) return redis::ReplyError(ctx, script.error());
  DeleteValue(ctx, key, "AI.SCRIPTDEL", "ai.scriptdel");
  return redis::ReplyOk(ctx);
}

}  // namespace redisai::commands
