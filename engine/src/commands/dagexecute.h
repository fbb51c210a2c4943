// What AI.DAGEXECUTE shares with its read-only form and with the deprecated AI.DAGRUN and AI.DAGRUN_RO.
#pragma once

#include "redis/api.h"
#include "redis/args.h"

namespace redisai::commands {

struct DagForm {
  const char* command;  // in upper case, for error texts
  bool read_only;
  // operations are AI.MODELRUN and AI.SCRIPTRUN, and nothing needs to come before the first |>
  bool deprecated;
};

int ExecuteDag(RedisModuleCtx* ctx, redis::Args args, const DagForm& form);

}  // namespace redisai::commands
