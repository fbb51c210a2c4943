#include "commands/graph_task.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "commands/keyspace.h"
#include "commands/task.h"
#include "dag/model_run.h"
#include "dag/work_run.h"
#include "runtime/devices.h"

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

// A graph whose next run waits in the queue of its device.
class GraphJob final : public Job {
 public:
  // `run` is that of the client's task, and has a waiting operation.
  GraphJob(WaitingClient client, GraphRun& run, std::optional<Clock::time_point> deadline)
      : client_(std::move(client)), run_(run), deadline_(deadline), policy_(PolicyOfWaiting()) {}

  WaitingClient& client() { return client_; }

  static void Enqueue(std::unique_ptr<GraphJob> job) {
    Queue& queue = QueueOf(job->op().device());
    queue.Push(std::move(job));
  }

  void Run(JobGroup group) noexcept override {
    if (group.size() == 1) {
      run_.Complete(RunWork(op(), run_.inputs()));
    } else {
      RunTogether(group);
    }
    for (auto& job : group) Continue(std::unique_ptr<GraphJob>(static_cast<GraphJob*>(job.release())));
  }

  void End(Ending ending) noexcept override { client_.End(ending); }

  BatchPolicy batch_policy() const override { return policy_; }

  bool Joins(const Job& other) const override {
    // Jobs that can be joined at all are graphs.
    const auto& that = static_cast<const GraphJob&>(other);
    return &model() == &that.model() && output_count() == that.output_count() &&
           CanJoin(run_.inputs(), that.run_.inputs());
  }

 private:
  const RunOp& op() const { return *run_.waiting(); }
  // Of an operation that may join others.
  const Model& model() const { return *std::get<Model::Ref>(op().work); }
  size_t output_count() const { return op().outputs.size(); }

  BatchPolicy PolicyOfWaiting() const {
    if (!std::holds_alternative<Model::Ref>(op().work)) return {};  // scripts run alone
    const ModelOptions& options = model().options();
    if (options.batch_size == 0) return {};
    const auto max_wait = options.min_batch_timeout_ms > 0
                              ? std::chrono::milliseconds(options.min_batch_timeout_ms)
                              : Runtime().max_batch_wait;
    return {BatchRows(run_.inputs()), options.batch_size, options.min_batch_size, max_wait};
  }

  void RunTogether(const JobGroup& group) {
    std::vector<const Tensors*> requests;
    for (const auto& job : group) requests.push_back(&static_cast<const GraphJob&>(*job).run_.inputs());
    auto results = RunJoined(model(), requests, output_count());
    for (size_t i = 0; i < group.size(); ++i) {
      static_cast<GraphJob&>(*group[i]).run_.Complete(std::move(results[i]));
    }
  }

  // Goes on after an operation has run: to the queue again for the next one, or back to the client.
  static void Continue(std::unique_ptr<GraphJob> job) {
    if (!job->run_.Advance()) {
      job->client_.Done();
    } else if (job->deadline_ && Clock::now() > *job->deadline_) {
      job->client_.End(Ending::kTimedOut);
    } else {
      job->policy_ = job->PolicyOfWaiting();
      Enqueue(std::move(job));
    }
  }

  WaitingClient client_;
  GraphRun& run_;
  const std::optional<Clock::time_point> deadline_;
  BatchPolicy policy_;
};

}  // namespace

int RunGraphTask(RedisModuleCtx* ctx, Graph graph, std::vector<Kept> kept, ReplyFunction reply,
                 std::optional<int64_t> timeout_ms) {
  auto task = std::make_unique<GraphTask>(std::move(graph), std::move(kept), reply);
  GraphRun& run = task->run();
  // Without a run there are only names and references: a thread would cost more than the work.
  if (!MayBlock(ctx) || !run.Advance()) {
    task->Work();
    return task->Finish(ctx);
  }
  std::optional<Clock::time_point> deadline;
  if (timeout_ms) deadline = Clock::now() + std::chrono::milliseconds(*timeout_ms);
  auto job = std::make_unique<GraphJob>(WaitingClient(ctx, std::move(task)), run, deadline);
  if (timeout_ms) job->client().LimitWait(ctx, job->id(), *timeout_ms);
  GraphJob::Enqueue(std::move(job));
  return redis::kOk;
}

}  // namespace redisai::commands
