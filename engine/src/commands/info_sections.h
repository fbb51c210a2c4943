// What the engine adds to the server's INFO.
#pragma once

#include "redis/api.h"

namespace redisai::commands {

// False when the server refuses.
bool RegisterInfoSections(RedisModuleCtx* ctx);

}  // namespace redisai::commands
