#include "commands/graph_task.h"

#include <memory>
#include <utility>

#include "commands/graph_request.h"
#include "commands/keyspace.h"
#include "commands/task.h"
#include "dag/model_run.h"
#include "dag/work_run.h"
#include "redis/main_thread.h"
#include "runtime/devices.h"
#include "runtime/settings.h"

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

// How long the operation will take, in nanoseconds, where it may run on the main thread: a model on the
// processor that asks for no company, and of which runs of that size are known. A script may do anything.
std::optional<int64_t> ExpectedNs(const GraphRun::Ready& ready) {
  const auto* model = std::get_if<Model::Ref>(&ready.op.work);
  if (!model) return std::nullopt;
  const ModelOptions& options = (*model)->options();
  if (options.device.kind != Device::Kind::kCpu || options.batch_size > 0) return std::nullopt;
  return (*model)->costs().ExpectedNs(TotalBytes(ready.inputs));
}

// Whether this client is the only one whose commands came with this round of the event loop, as far as they
// run models. Several clients at once are served faster by two threads than by one, however quick the model:
// the worker runs it while this thread reads and replies, and is not woken for each.
bool IsAlone(RedisModuleCtx* ctx) {
  static uint64_t round = 0;
  static unsigned long long client = 0;
  const unsigned long long this_client = redis::GetClientId(ctx);
  if (round == redis::EventLoopRound() && client != this_client) return false;
  round = redis::EventLoopRound();
  client = this_client;
  return true;
}

// Runs at once what takes less than waking a worker and being woken by it, as long as no one waits for the
// device, who would be overtaken.
void RunWhatIsQuick(GraphRun& run) {
  int64_t left_ns = GetSettings().inline_run_limit_us * 1000;
  while (left_ns > 0) {
    const auto ready = run.FindReady();
    if (!ready) return;
    const auto expected_ns = ExpectedNs(*ready);
    if (!expected_ns || *expected_ns > left_ns || QueueOf(ready->op.device()).waiting() > 0) return;
    run.Complete(ready->index, RunWork(ready->op, ready->inputs));
    ++Model::TotalInlineCalls();
    left_ns -= *expected_ns;
  }
}

}  // namespace

int RunGraphTask(RedisModuleCtx* ctx, Graph graph, std::vector<Kept> kept, ReplyFunction reply,
                 std::optional<int64_t> timeout_ms) {
  auto task = std::make_unique<GraphTask>(std::move(graph), std::move(kept), reply);
  GraphRun& run = task->run();
  if (!MayBlock(ctx)) {
    run.Finish();
  } else if (!run.ended() && IsAlone(ctx)) {
    RunWhatIsQuick(run);
  }
  // Where no operation is a run there are only names and references.
  if (run.ended()) return task->Finish(ctx);
  std::make_shared<GraphRequest>(WaitingClient(ctx, std::move(task)), run)->Begin(ctx, timeout_ms);
  return redis::kOk;
}

}  // namespace redisai::commands
