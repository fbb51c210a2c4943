#include "runtime/queue.h"

#include <pthread.h>

#include <utility>

namespace redisai {

Queue::Queue(const std::string& name, int thread_count, void (*setup)()) {
  for (int i = 0; i < thread_count; ++i) {
    try {
      workers_.emplace_back([this, setup] {
        setup();
        Serve();
      });
    } catch (...) {  // the system has no more threads
      Stop();
      throw;
    }
    // The kernel keeps 15 characters; `top -H` and gdb show them.
    pthread_setname_np(workers_.back().native_handle(), ("ai-" + name).substr(0, 15).c_str());
  }
}

void Queue::Push(std::unique_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      jobs_.push_back(std::move(job));
      arrived_.notify_one();
      return;
    }
  }
  job->Run(/*cancelled=*/true);
}

void Queue::Stop() {
  std::deque<std::unique_ptr<Job>> left;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    left.swap(jobs_);
  }
  arrived_.notify_all();
  for (const auto& job : left) job->Run(/*cancelled=*/true);
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void Queue::Serve() noexcept {
  for (;;) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [this] { return stopped_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job->Run(/*cancelled=*/false);
  }
}

}  // namespace redisai
