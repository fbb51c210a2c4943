// Values as the commands that make them again: what the AOF rewrite and replication send.
#pragma once

#include <string>
#include <vector>

#include "redis/api.h"
#include "redis/handles.h"
#include "values/model.h"
#include "values/script.h"
#include "values/tensor.h"

namespace redisai::persist {

// A blob larger than this is saved and sent to replicas in chunks: under the protocol's default limit of 512
// MiB a string.
inline constexpr size_t kModelChunkBytes = size_t{511} * 1024 * 1024;

std::vector<std::string_view> Chunks(std::string_view blob, size_t chunk_bytes = kModelChunkBytes);

// The shape, as AI.TENSORSET takes it.
std::vector<redis::String> DimArguments(const Tensor& tensor);
// All that follows the key in AI.MODELSTORE.
std::vector<redis::String> ModelArguments(const Model& model);
// All that follows the key in AI.SCRIPTSTORE.
std::vector<redis::String> ScriptArguments(const Script& script);

void ReplicateTensor(RedisModuleCtx* ctx, RedisModuleString* key, const Tensor& tensor);
void ReplicateModel(RedisModuleCtx* ctx, RedisModuleString* key, const Model& model);
void ReplicateScript(RedisModuleCtx* ctx, RedisModuleString* key, const Script& script);

}  // namespace redisai::persist
