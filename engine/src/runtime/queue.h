// One device's queue of jobs, first in first out, the joining of jobs into batches, and the worker threads.
//
// Threads: any thread pushes; the main thread takes jobs back and stops the queue; jobs run on the workers.
// `mutex_` guards the list, the stop flag and the number of workers, and is never held while a job runs. Idle
// workers sleep on the condition, until a job arrives or the oldest one that waits for company has waited
// long enough. A lock-free queue was not worth its complexity: one lock costs 0.1 us beside the tens of a
// model's run.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace redisai {

using Clock = std::chrono::steady_clock;

// How a job may be joined with others of its kind. Samples are rows: what a model's batch dimension counts.
struct BatchPolicy {
  int64_t samples = 0;         // of this job; 0 when it can only run alone
  int64_t max_samples = 0;     // of a batch; a job that has as many runs alone
  int64_t min_samples = 0;     // fewer wait for company…
  Clock::duration max_wait{};  // …for this long after they were queued
};

// Names a request for as long as the process lives.
uint64_t NewRequestId();

class Job;
using JobGroup = std::vector<std::unique_ptr<Job>>;

class Job {
 public:
  enum class Ending : uint8_t { kTimedOut, kCancelled };

  explicit Job(uint64_t request_id) : request_id_(request_id) {}
  virtual ~Job() = default;

  // Runs this job and those that joined it: `group` holds them all in the order they came, this one first. On
  // a worker. For each job either Run or End is called, once for every time it is pushed.
  virtual void Run(JobGroup group) noexcept = 0;
  // Says goodbye to whoever waits: the job will not run.
  virtual void End(Ending ending) noexcept = 0;

  virtual BatchPolicy batch_policy() const { return {}; }
  // Whether the two may run as one; both can be joined at all.
  virtual bool Joins(const Job&) const { return false; }

  // What this job is a part of.
  uint64_t request_id() const { return request_id_; }

 private:
  friend class Queue;
  const uint64_t request_id_;
  Clock::time_point queued_at_;
};

class Queue {
 public:
  // `setup` runs on each worker before its first job.
  Queue(const std::string& name, int thread_count, void (*setup)());
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // After Refuse the job ends at once, cancelled.
  void Push(std::unique_ptr<Job> job);
  // Takes back the jobs of a request that wait here.
  JobGroup Remove(uint64_t request_id);
  // Cancels what waits, and whatever is pushed from now on. May be called again.
  void Refuse();
  // After Refuse: lets running jobs end and joins the workers; false when they have not ended by `deadline`,
  // and go on.
  [[nodiscard]] bool Join(Clock::time_point deadline = Clock::time_point::max());

  // How many jobs wait, and the processor time that each worker has used; for INFO.
  size_t waiting() const;
  std::vector<double> WorkerCpuSeconds();

 private:
  struct Batch {
    std::vector<size_t> positions;  // in jobs_
    bool ready = false;
    Clock::time_point ready_at;
  };

  void Serve() noexcept;
  // The next jobs to run, or none; then `wake_at` is when to look again. Call with the lock held.
  JobGroup TakeReady(Clock::time_point& wake_at);
  // The job at `first` and those behind it that may join it.
  Batch Gather(size_t first, Clock::time_point now) const;

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::condition_variable left_;  // a worker has ended
  std::deque<std::unique_ptr<Job>> jobs_;
  bool stopped_ = false;
  size_t serving_ = 0;  // workers that have not ended
  std::vector<std::thread> workers_;
};

}  // namespace redisai
