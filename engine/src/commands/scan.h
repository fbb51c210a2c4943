// The keys of the selected database that hold one of our types, for AI._MODELSCAN and AI._SCRIPTSCAN. Walks
// the whole keyspace, like KEYS: for people, not for programs.
#pragma once

#include <string>

#include "redis/api.h"

namespace redisai::commands {

// Replies with `[[key, tag], …]`; `tag_of` takes a key's value.
int ReplyScan(RedisModuleCtx* ctx, RedisModuleType* type, const std::string& (*tag_of)(const void* value));

}  // namespace redisai::commands
