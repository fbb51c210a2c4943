#include "commands/graph_task.h"

#include "commands/keyspace.h"

namespace redisai::commands {
namespace {

class GraphTask final : public Task {
 public:
  GraphTask(Graph graph, std::vector<Kept> kept, ReplyFunction reply)
      : graph_(std::move(graph)), kept_(std::move(kept)), reply_(reply) {}

  void Work() noexcept override { result_ = RunGraph(graph_); }

  int Finish(RedisModuleCtx* ctx) override { return reply_(ctx, graph_, result_, Write(ctx)); }

 private:
  std::optional<Error> Write(RedisModuleCtx* ctx) {
    if (kept_.empty() || result_.first_error()) return std::nullopt;
    std::vector<NamedTensor> tensors;
    for (Kept& kept : kept_) tensors.emplace_back(std::move(kept.key), result_.tensors[kept.slot]);
    return WriteTensors(ctx, tensors);
  }

  Graph graph_;
  std::vector<Kept> kept_;
  ReplyFunction reply_;
  RunResult result_;
};

}  // namespace

int RunGraphTask(RedisModuleCtx* ctx, Graph graph, std::vector<Kept> kept, ReplyFunction reply,
                 std::optional<int64_t> timeout_ms) {
  const auto device = graph.device();
  auto task = std::make_unique<GraphTask>(std::move(graph), std::move(kept), reply);
  if (device) return RunTask(ctx, *device, std::move(task), timeout_ms);
  // Only names and references: a thread would cost more than the work.
  task->Work();
  return task->Finish(ctx);
}

}  // namespace redisai::commands
