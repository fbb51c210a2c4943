// AI._MODELSCAN: the models of the selected database and their tags.

#include "commands/handlers.h"
#include "commands/scan.h"
#include "persist/types.h"
#include "redis/reply.h"
#include "values/model.h"

namespace redisai::commands {

int ModelScan(RedisModuleCtx* ctx, redis::Args) {
  return ReplyScan(ctx, persist::ModelType(), [](const void* value) -> const std::string& {
    return (*static_cast<const Model::Ref*>(value))->options().tag;
  });
}

}  // namespace redisai::commands
