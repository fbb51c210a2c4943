// AI._SCRIPTSCAN: the scripts of the selected database and their tags.

#include "commands/handlers.h"
#include "commands/scan.h"
#include "persist/types.h"
#include "redis/reply.h"
#include "values/script.h"

namespace redisai::commands {

int ScriptScan(RedisModuleCtx* ctx, redis::Args) {
  return ReplyScan(ctx, persist::ScriptType(), [](const void* value) -> const std::string& {
    return (*static_cast<const Script::Ref*>(value))->options().tag;
  });
}

}  // namespace redisai::commands
