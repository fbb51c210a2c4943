// What AI.SCRIPTEXECUTE and the deprecated AI.SCRIPTRUN do once their arguments are read.
#pragma once

#include "commands/script_syntax.h"
#include "redis/api.h"

namespace redisai::commands {

int RunScriptCommand(RedisModuleCtx* ctx, const ScriptCommand& command);

}  // namespace redisai::commands
