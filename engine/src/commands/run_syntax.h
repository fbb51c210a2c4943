// How the deprecated AI.MODELRUN and AI.SCRIPTRUN are written, as commands and as operations of AI.DAGRUN.
#pragma once

#include "base/result.h"
#include "commands/model_syntax.h"
#include "commands/script_syntax.h"
#include "redis/api.h"
#include "redis/args.h"

namespace redisai::commands {

// `model [TIMEOUT ms] INPUTS in… OUTPUTS out…`.
Result<ModelCall> ParseModelRun(redis::Args args);

// `script function [TIMEOUT ms] INPUTS in… [$ in…] OUTPUTS out…`. What follows $ is one list of tensors.
Result<ScriptCommand> ParseScriptRun(redis::Args args);

// For COMMAND GETKEYS and the cluster: the first argument, and what follows INPUTS.
int ReportRunKeys(RedisModuleCtx* ctx, redis::Args args);

}  // namespace redisai::commands
