// What AI.MODELEXECUTE and AI.SCRIPTEXECUTE share: a graph of one operation between keys.
#pragma once

#include <optional>
#include <vector>

#include "commands/graph_task.h"
#include "commands/model_syntax.h"

namespace redisai::commands {

struct Prepared {
  Graph graph;
  std::vector<Kept> kept;
};

// Loads the tensors under `keys` into the graph.
[[nodiscard]] std::optional<Error> LoadInputs(RedisModuleCtx* ctx, Graph& graph, Names keys);

// Keeps the outputs of the graph's one operation under `keys`, which must be free for tensors.
[[nodiscard]] std::optional<Error> KeepOutputs(RedisModuleCtx* ctx, Prepared& prepared, Names keys);

// Runs it and replies with OK or the error.
int Execute(RedisModuleCtx* ctx, Prepared prepared, std::optional<int64_t> timeout_ms);

}  // namespace redisai::commands
