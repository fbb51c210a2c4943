// AI.MODELSET key backend device [TAG tag] [BATCHSIZE n [MINBATCHSIZE m]] BLOB chunk…. Deprecated.

#include "commands/handlers.h"

namespace redisai::commands {

// AI.MODELSTORE reads the same and MINBATCHTIMEOUT besides. Replicas and the AOF get AI.MODELSTORE.
int ModelSet(RedisModuleCtx* ctx, redis::Args args) { return ModelStore(ctx, args); }

}  // namespace redisai::commands
