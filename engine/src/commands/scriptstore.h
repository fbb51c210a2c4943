// What AI.SCRIPTSTORE shares with the deprecated AI.SCRIPTSET.
#pragma once

#include "redis/api.h"
#include "redis/args.h"

namespace redisai::commands {

enum class EntryPoints : uint8_t { kNamed, kNone };

// Stores what the arguments, the key first, describe; they have `ENTRY_POINTS n name…` or lack it.
int StoreScript(RedisModuleCtx* ctx, redis::Args args, EntryPoints entry_points);

}  // namespace redisai::commands
