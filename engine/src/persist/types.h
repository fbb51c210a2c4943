// The value types in Redis, AI_TENSOR, AI__MODEL and AI_SCRIPT: how they are saved, loaded, copied and freed.
#pragma once

#include "redis/api.h"

namespace redisai::persist {

// Version of our RDB encoding of all types. RedisAI's own are 0 to 4, and are read too.
inline constexpr int kEncodingVersion = 100;
inline constexpr int kLastRedisAiVersion = 4;

// A value of this type is a TensorRef that was released to the key.
RedisModuleType* TensorType();
// A value of this type is a `Model::Ref*` that the key owns.
RedisModuleType* ModelType();
// A value of this type is a `Script::Ref*` that the key owns.
RedisModuleType* ScriptType();

// Each registers its type; false when the server refuses.
bool RegisterTensorType(RedisModuleCtx* ctx);
bool RegisterModelType(RedisModuleCtx* ctx);
bool RegisterScriptType(RedisModuleCtx* ctx);

}  // namespace redisai::persist
