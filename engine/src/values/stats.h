// Counters for AI.INFO; written by whichever thread ran the model or script.
#pragma once

#include <atomic>
#include <cstdint>

namespace redisai {

struct RunStats {
  static constexpr int64_t kNoSamples = -1;  // what has no batches has no samples to count

  std::atomic<int64_t> duration_us{0};
  std::atomic<int64_t> samples{0};
  std::atomic<int64_t> calls{0};
  std::atomic<int64_t> errors{0};

  void Reset() {
    duration_us = calls = errors = 0;
    if (samples != kNoSamples) samples = 0;
  }
};

}  // namespace redisai
