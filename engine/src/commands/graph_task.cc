#include "commands/graph_task.h"

#include <memory>
#include <utility>

#include "commands/graph_request.h"
#include "commands/keyspace.h"
#include "commands/task.h"

namespace redisai::commands {
namespace {

class GraphTask final : public Task {
 public:
  GraphTask(Graph graph, std::vector<Kept> kept, ReplyFunction reply)
      : run_(std::move(graph)), kept_(std::move(kept)), reply_(reply) {}

  GraphRun& run() { return run_; }

  void Work() noexcept override { run_.Finish(); }

  int Finish(RedisModuleCtx* ctx) override { return reply_(ctx, run_, Write(ctx)); }

 private:
  std::optional<Error> Write(RedisModuleCtx* ctx) {
    if (kept_.empty() || run_.first_error()) return std::nullopt;
    std::vector<NamedTensor> tensors;
    for (Kept& kept : kept_) tensors.emplace_back(std::move(kept.key), run_.tensor(kept.slot));
    return WriteTensors(ctx, tensors);
  }

  GraphRun run_;
  std::vector<Kept> kept_;
  ReplyFunction reply_;
};

}  // namespace

int RunGraphTask(RedisModuleCtx* ctx, Graph graph, std::vector<Kept> kept, ReplyFunction reply,
                 std::optional<int64_t> timeout_ms) {
  auto task = std::make_unique<GraphTask>(std::move(graph), std::move(kept), reply);
  GraphRun& run = task->run();
  if (!MayBlock(ctx)) run.Finish();
  // Where no operation is a run there are only names and references.
  if (run.ended()) return task->Finish(ctx);
  std::make_shared<GraphRequest>(WaitingClient(ctx, std::move(task)), run)->Begin(ctx, timeout_ms);
  return redis::kOk;
}

}  // namespace redisai::commands
