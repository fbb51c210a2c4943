// One handler a command; each lives in the file of its name. Arguments begin after the command's name.
#pragma once

#include "redis/api.h"
#include "redis/args.h"

namespace redisai::commands {

int TensorSet(RedisModuleCtx* ctx, redis::Args args);
int TensorGet(RedisModuleCtx* ctx, redis::Args args);
int ModelStore(RedisModuleCtx* ctx, redis::Args args);
int ModelGet(RedisModuleCtx* ctx, redis::Args args);
int ModelDel(RedisModuleCtx* ctx, redis::Args args);
int ModelSet(RedisModuleCtx* ctx, redis::Args args);
int ModelExecute(RedisModuleCtx* ctx, redis::Args args);
int ModelRun(RedisModuleCtx* ctx, redis::Args args);
int ModelScan(RedisModuleCtx* ctx, redis::Args args);
int ScriptStore(RedisModuleCtx* ctx, redis::Args args);
int ScriptSet(RedisModuleCtx* ctx, redis::Args args);
int ScriptGet(RedisModuleCtx* ctx, redis::Args args);
int ScriptDel(RedisModuleCtx* ctx, redis::Args args);
int ScriptExecute(RedisModuleCtx* ctx, redis::Args args);
int ScriptRun(RedisModuleCtx* ctx, redis::Args args);
int ScriptScan(RedisModuleCtx* ctx, redis::Args args);
int DagExecute(RedisModuleCtx* ctx, redis::Args args);
int DagExecuteRo(RedisModuleCtx* ctx, redis::Args args);
int DagRun(RedisModuleCtx* ctx, redis::Args args);
int DagRunRo(RedisModuleCtx* ctx, redis::Args args);
int Config(RedisModuleCtx* ctx, redis::Args args);
int Info(RedisModuleCtx* ctx, redis::Args args);

}  // namespace redisai::commands
