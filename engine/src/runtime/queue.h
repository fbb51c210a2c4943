// One device's queue of jobs, first in first out, and the worker threads that serve it.
//
// Threads: Push and Stop are called by the server's main thread, jobs run on the workers. `mutex_` guards the
// list and the stop flag and is never held while a job runs. Idle workers sleep on the condition. A lock-free
// queue was not worth its complexity: one lock costs 0.1 us beside the tens of a model's run.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace redisai {

class Job {
 public:
  virtual ~Job() = default;
  // Does the work, on a worker thread, or says goodbye to whoever waits when `cancelled`, on the thread that
  // stops the queue. Called exactly once.
  virtual void Run(bool cancelled) noexcept = 0;
};

class Queue {
 public:
  // `setup` runs on each worker before its first job.
  Queue(const std::string& name, int thread_count, void (*setup)());
  ~Queue() { Stop(); }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // After Stop the job is cancelled at once.
  void Push(std::unique_ptr<Job> job);
  // Cancels what waits, lets running jobs end, joins the workers. May be called again.
  void Stop();

 private:
  void Serve() noexcept;

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::unique_ptr<Job>> jobs_;
  bool stopped_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace redisai
