// Tensors and models under keys. Main thread only; a value read here is held by reference and outlives its
// key.
#pragma once

#include <optional>
#include <span>
#include <utility>

#include "base/result.h"
#include "redis/api.h"
#include "redis/caller.h"
#include "redis/handles.h"
#include "values/model.h"
#include "values/script.h"
#include "values/tensor.h"

namespace redisai::commands {

Result<TensorRef> ReadTensor(RedisModuleCtx* ctx, RedisModuleString* key);
Result<Model::Ref> ReadModel(RedisModuleCtx* ctx, RedisModuleString* key);
Result<Script::Ref> ReadScript(RedisModuleCtx* ctx, RedisModuleString* key);

// A value of any slot of this shard, for a command that did not declare its key. The server therefore did not
// check the user's right to read it; this does, for the caller.
Result<Model::Ref> ReadUndeclaredModel(RedisModuleCtx* ctx, const redis::Caller& caller,
                                       RedisModuleString* key);
Result<Script::Ref> ReadUndeclaredScript(RedisModuleCtx* ctx, const redis::Caller& caller,
                                         RedisModuleString* key);

// Whether `key` is free or holds a value of `type` already.
std::optional<Error> CheckWritable(RedisModuleCtx* ctx, RedisModuleString* key, RedisModuleType* type);
// The same of a command that may have waited since the server looked at its keys: in a cluster, their slot
// may have gone to another node.
std::optional<Error> CheckStillWritable(RedisModuleCtx* ctx, RedisModuleString* key, RedisModuleType* type);

// Whether a model or script that cannot run here is kept all the same, to answer each run with the reason:
// what the master or an AOF says is stored is stored.
bool MustKeep(RedisModuleCtx* ctx);

// Puts the value under `key` and tells replicas, the AOF and keyspace events; any TTL goes. The key has been
// checked.
void WriteTensor(RedisModuleCtx* ctx, RedisModuleString* key, TensorRef tensor);
void WriteModel(RedisModuleCtx* ctx, RedisModuleString* key, const Model::Ref& model);
void WriteScript(RedisModuleCtx* ctx, RedisModuleString* key, const Script::Ref& script);

// Deletes the key as `command`, such as AI.MODELDEL, which is what replicas and the AOF get. The key has been
// checked.
void DeleteValue(RedisModuleCtx* ctx, RedisModuleString* key, const char* command, const char* event);

// All of the tensors or, when one of the keys cannot be written, none.
using NamedTensor = std::pair<redis::String, TensorRef>;
std::optional<Error> WriteTensors(RedisModuleCtx* ctx, std::span<NamedTensor> tensors);

}  // namespace redisai::commands
