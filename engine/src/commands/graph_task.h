// Runs a graph for a command: models that are quick at once, where that is faster; each other model and
// script on a worker of its device; then writes what is to be kept, then replies.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "dag/run.h"
#include "redis/api.h"
#include "redis/handles.h"

namespace redisai::commands {

// A tensor of the graph and the key it goes to when everything succeeded.
struct Kept {
  redis::String key;
  Slot slot;
};

// How a graph's outcome becomes a reply. `written` is why the results could not be kept, if they could not.
using ReplyFunction = int (*)(RedisModuleCtx*, const GraphRun&, const std::optional<Error>& written);

// A graph that still waits for a model `timeout_ms` from now, rather than runs one, is answered with
// TIMEDOUT.
int RunGraphTask(RedisModuleCtx* ctx, Graph graph, std::vector<Kept> kept, ReplyFunction reply,
                 std::optional<int64_t> timeout_ms);

}  // namespace redisai::commands
