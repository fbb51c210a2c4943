#include "commands/graph_request.h"

#include <utility>
#include <vector>

#include "dag/work_run.h"
#include "runtime/devices.h"
#include "runtime/settings.h"

namespace redisai::commands {
namespace {

// One operation of a request.
class GraphJob final : public Job {
 public:
  GraphJob(uint64_t request_id, std::shared_ptr<GraphRequest> request, GraphRun::Ready ready)
      : Job(request_id), request_(std::move(request)), ready_(std::move(ready)), policy_(Policy()) {}

  const Device& device() const { return op().device(); }

  void Run(JobGroup group) noexcept override {
    for (const auto& job : group) static_cast<const GraphJob&>(*job).request_->RunBegins();
    if (group.size() == 1) {
      request_->Complete(ready_.index, RunWork(op(), ready_.inputs));
    } else {
      RunTogether(group);
    }
  }

  void End(Ending ending) noexcept override { request_->End(ending); }

  BatchPolicy batch_policy() const override { return policy_; }

  bool Joins(const Job& other) const override {
    // Jobs that can be joined at all are of graphs.
    const auto& that = static_cast<const GraphJob&>(other);
    return &model() == &that.model() && output_count() == that.output_count() &&
           CanJoin(ready_.inputs, that.ready_.inputs);
  }

 private:
  const RunOp& op() const { return ready_.op; }
  // Of an operation that may join others.
  const Model& model() const { return *std::get<Model::Ref>(op().work); }
  size_t output_count() const { return op().outputs.size(); }

  BatchPolicy Policy() const {
    if (!std::holds_alternative<Model::Ref>(op().work)) return {};  // scripts run alone
    const ModelOptions& options = model().options();
    if (options.batch_size == 0) return {};
    const int64_t max_wait_ms = options.min_batch_timeout_ms > 0 ? options.min_batch_timeout_ms
                                                                 : GetSettings().max_batch_wait_ms.load();
    return {BatchRows(ready_.inputs), options.batch_size, options.min_batch_size,
            std::chrono::milliseconds(max_wait_ms)};
  }

  void RunTogether(const JobGroup& group) {
    std::vector<const Tensors*> requests;
    for (const auto& job : group) requests.push_back(&static_cast<const GraphJob&>(*job).ready_.inputs);
    auto results = RunJoined(model(), requests, output_count());
    for (size_t i = 0; i < group.size(); ++i) {
      const auto& job = static_cast<const GraphJob&>(*group[i]);
      job.request_->Complete(job.ready_.index, std::move(results[i]));
    }
  }

  const std::shared_ptr<GraphRequest> request_;
  const GraphRun::Ready ready_;
  const BatchPolicy policy_;
};

}  // namespace

void GraphRequest::Begin(RedisModuleCtx* ctx, std::optional<int64_t> timeout_ms) {
  if (timeout_ms) {
    deadline_ = Clock::now() + std::chrono::milliseconds(*timeout_ms);
    client_.LimitWait(ctx, id_, *timeout_ms);
  }
  JobGroup jobs;
  {
    const std::lock_guard lock(mutex_);
    jobs = StartReady();
  }
  Proceed(std::move(jobs), /*last=*/false);
}

void GraphRequest::RunBegins() {
  const std::lock_guard lock(mutex_);
  if (++running_ == 1) client_.WorkBegins();
}

void GraphRequest::Complete(size_t index, Result<Tensors> outputs) {
  JobGroup jobs;
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    run_.Complete(index, std::move(outputs));
    if (--running_ == 0) client_.WorkEnds();
    if (!ending_ && !run_.ended() && deadline_ && Clock::now() > *deadline_) ending_ = Job::Ending::kTimedOut;
    if (!ending_) jobs = StartReady();
    last = --jobs_in_flight_ == 0;
  }
  Proceed(std::move(jobs), last);
}

void GraphRequest::End(Job::Ending ending) {
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    if (!ending_) ending_ = ending;
    last = --jobs_in_flight_ == 0;
  }
  Proceed({}, last);
}

JobGroup GraphRequest::StartReady() {
  JobGroup jobs;
  while (auto ready = run_.FindReady()) {
    run_.Start(ready->index);
    jobs.push_back(std::make_unique<GraphJob>(id_, shared_from_this(), std::move(*ready)));
  }
  jobs_in_flight_ += jobs.size();
  return jobs;
}

void GraphRequest::Proceed(JobGroup jobs, bool last) {
  for (auto& job : jobs) {
    Queue& queue = QueueOf(static_cast<const GraphJob&>(*job).device());
    queue.Push(std::move(job));
  }
  if (!last) return;
  if (ending_) {
    client_.End(*ending_);
  } else {
    client_.Done();
  }
}

}  // namespace redisai::commands
