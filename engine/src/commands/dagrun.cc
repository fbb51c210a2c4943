// AI.DAGRUN [LOAD n k…] [PERSIST n k…] [TIMEOUT ms] |> op [|> op …], and AI.DAGRUN_RO. Deprecated.

#include "commands/dagexecute.h"
#include "commands/handlers.h"

namespace redisai::commands {

int DagRun(RedisModuleCtx* ctx, redis::Args args) {
  return ExecuteDag(ctx, args, {.command = "AI.DAGRUN", .read_only = false, .deprecated = true});
}

int DagRunRo(RedisModuleCtx* ctx, redis::Args args) {
  return ExecuteDag(ctx, args, {.command = "AI.DAGRUN_RO", .read_only = true, .deprecated = true});
}

}  // namespace redisai::commands
