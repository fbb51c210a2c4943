#include "runtime/queue.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace redisai {
namespace {

std::atomic<uint64_t> last_request_id = 0;

}  // namespace

uint64_t NewRequestId() { return ++last_request_id; }

Queue::Queue(const std::string& name, int thread_count, void (*setup)()) {
  for (int i = 0; i < thread_count; ++i) {
    try {
      workers_.emplace_back([this, setup] {
        setup();
        Serve();
      });
    } catch (...) {  // the system has no more threads
      Refuse();
      (void)Join();
      throw;
    }
    {
      const std::lock_guard lock(mutex_);
      ++serving_;
    }
    // The kernel keeps 15 characters; `top -H` and gdb show them.
    pthread_setname_np(workers_.back().native_handle(), ("ai-" + name).substr(0, 15).c_str());
  }
}

void Queue::Push(std::unique_ptr<Job> job) {
  job->queued_at_ = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      jobs_.push_back(std::move(job));
      arrived_.notify_one();
      return;
    }
  }
  job->End(Job::Ending::kCancelled);
}

JobGroup Queue::Remove(uint64_t request_id) {
  JobGroup removed;
  const std::lock_guard lock(mutex_);
  for (auto& job : jobs_) {
    if (job->request_id() == request_id) removed.push_back(std::move(job));
  }
  if (removed.empty()) return removed;
  std::erase(jobs_, nullptr);
  // Those they were gathered with may be ready without them, or have to wait on.
  arrived_.notify_one();
  return removed;
}

Queue::~Queue() {
  Refuse();
  (void)Join();
}

void Queue::Refuse() {
  std::deque<std::unique_ptr<Job>> left;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    left.swap(jobs_);
  }
  arrived_.notify_all();
  for (const auto& job : left) job->End(Job::Ending::kCancelled);
}

bool Queue::Join(Clock::time_point deadline) {
  {
    std::unique_lock lock(mutex_);
    if (!left_.wait_until(lock, deadline, [this] { return serving_ == 0; })) return false;
  }
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
  return true;
}

size_t Queue::waiting() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

std::vector<double> Queue::WorkerCpuSeconds() {
  std::vector<double> seconds;
  for (std::thread& worker : workers_) {
    clockid_t clock{};
    timespec used{};
    if (pthread_getcpuclockid(worker.native_handle(), &clock) == 0) clock_gettime(clock, &used);
    seconds.push_back(static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9);
  }
  return seconds;
}

void Queue::Serve() noexcept {
  for (;;) {
    JobGroup group;
    {
      std::unique_lock lock(mutex_);
      for (;;) {
        if (stopped_) {
          --serving_;
          left_.notify_all();
          return;
        }
        auto wake_at = Clock::time_point::max();
        group = TakeReady(wake_at);
        if (!group.empty()) break;
        if (wake_at == Clock::time_point::max()) {
          arrived_.wait(lock);
        } else {
          arrived_.wait_until(lock, wake_at);
        }
      }
      // This worker may have been woken for one of several jobs that are ready.
      if (!jobs_.empty()) arrived_.notify_one();
    }
    Job& first = *group.front();
    first.Run(std::move(group));
  }
}

JobGroup Queue::TakeReady(Clock::time_point& wake_at) {
  const auto now = Clock::now();
  std::vector<bool> gathered(jobs_.size());
  for (size_t first = 0; first < jobs_.size(); ++first) {
    if (gathered[first]) continue;
    const Batch batch = Gather(first, now);
    if (!batch.ready) {
      wake_at = std::min(wake_at, batch.ready_at);
      for (const size_t position : batch.positions) gathered[position] = true;
      continue;
    }
    JobGroup group;
    for (const size_t position : batch.positions) group.push_back(std::move(jobs_[position]));
    std::erase(jobs_, nullptr);
    return group;
  }
  return {};
}

Queue::Batch Queue::Gather(size_t first, Clock::time_point now) const {
  const Job& job = *jobs_[first];
  const BatchPolicy policy = job.batch_policy();
  Batch batch{{first}, /*ready=*/true, {}};
  if (policy.samples == 0 || policy.samples >= policy.max_samples) return batch;
  int64_t samples = policy.samples;
  bool full = false;
  for (size_t position = first + 1; position < jobs_.size() && !full; ++position) {
    const BatchPolicy other = jobs_[position]->batch_policy();
    if (other.samples == 0 || !job.Joins(*jobs_[position])) continue;
    if (samples + other.samples > policy.max_samples) {
      full = true;  // a later one that would fit must not overtake this one
    } else {
      samples += other.samples;
      batch.positions.push_back(position);
      full = samples == policy.max_samples;
    }
  }
  batch.ready_at = job.queued_at_ + policy.max_wait;
  batch.ready = full || samples >= policy.min_samples || now >= batch.ready_at;
  return batch;
}

}  // namespace redisai
