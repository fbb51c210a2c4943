// The one command table: all that the server is told about the commands. To add one: an entry in table.cc, a
// handler in handlers.h, a row in docs/engine.md.
#pragma once

#include "redis/api.h"

namespace redisai::commands {

// Makes the commands and describes them; false when the server refuses.
bool RegisterCommands(RedisModuleCtx* ctx);

}  // namespace redisai::commands
