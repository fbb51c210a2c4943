// Runs a graph for a command: on a worker where it has work for one, then writes what is to be kept, then
// replies.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "commands/task.h"
#include "dag/graph.h"
#include "dag/run.h"
#include "redis/handles.h"

namespace redisai::commands {

// A tensor of the graph and the key it goes to when everything succeeded.
struct Kept {
  redis::String key;
  Slot slot;
};

// How a graph's outcome becomes a reply. `written` is why the results could not be kept, if they could not.
using ReplyFunction = int (*)(RedisModuleCtx*, const Graph&, const RunResult&,
                              const std::optional<Error>& written);

int RunGraphTask(RedisModuleCtx* ctx, Graph graph, std::vector<Kept> kept, ReplyFunction reply,
                 std::optional<int64_t> timeout_ms);

}  // namespace redisai::commands
