// AI.SCRIPTSET key device [TAG tag] SOURCE text. Deprecated: AI.SCRIPTSTORE without entry points, so that
// each function is called with its tensors one by one. Replicas and the AOF get AI.SCRIPTSTORE.

#include "commands/handlers.h"
#include "commands/scriptstore.h"

namespace redisai::commands {

int ScriptSet(RedisModuleCtx* ctx, redis::Args args) { return StoreScript(ctx, args, EntryPoints::kNone); }

}  // namespace redisai::commands
