// What AI.MODELEXECUTE and the deprecated AI.MODELRUN do once their arguments are read.
#pragma once

#include "commands/model_syntax.h"
#include "redis/api.h"

namespace redisai::commands {

int RunModelCall(RedisModuleCtx* ctx, const ModelCall& call);

}  // namespace redisai::commands
