// The engine's settings as the server knows them: arguments of the module, and the configuration `ai.*` of
// redis.conf, CONFIG GET and CONFIG SET. To add a number: a member of Settings, and a line in
// configuration.cc and in the table of docs/engine.md.
#pragma once

#include <optional>

#include "base/result.h"
#include "redis/api.h"
#include "redis/args.h"

namespace redisai::commands {

// Reads the `NAME value` pairs of the loadmodule line, which are the defaults of the configuration.
std::optional<Error> ParseModuleArguments(redis::Args args);

// Tells the server the configuration and takes what it has for it; false when the server refuses.
bool RegisterConfiguration(RedisModuleCtx* ctx);

}  // namespace redisai::commands
