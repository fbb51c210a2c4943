// How long runs of one model take, learned as they run: written by whichever thread ran it, read by the main
// thread.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace redisai {

// A model's time follows the size of its inputs, so each power of two of bytes has a mean of its own, in
// which the newest run counts a quarter: a slow first run and a run that the system interrupted are soon
// forgotten. Two threads that learn at once may lose one of the two.
class RunCosts {
 public:
  void Learn(size_t input_bytes, int64_t duration_ns) {
    auto& mean = MeanOf(input_bytes);
    const int64_t before = mean.load(std::memory_order_relaxed);
    mean.store(before == kUnknown ? duration_ns : before + (duration_ns - before) / 4,
               std::memory_order_relaxed);
  }

  // Nothing where no run of that size is known.
  std::optional<int64_t> ExpectedNs(size_t input_bytes) const {
    const int64_t mean = MeanOf(input_bytes).load(std::memory_order_relaxed);
    if (mean == kUnknown) return std::nullopt;
    return mean;
  }

 private:
  static constexpr int64_t kUnknown = 0;
  static constexpr size_t kSizes = 40;  // tensors are of 4 GiB at most

  std::atomic<int64_t>& MeanOf(size_t bytes) { return means_[Index(bytes)]; }
  const std::atomic<int64_t>& MeanOf(size_t bytes) const { return means_[Index(bytes)]; }
  static size_t Index(size_t bytes) {
    return std::min<size_t>(static_cast<size_t>(std::bit_width(bytes)), kSizes - 1);
  }

  std::array<std::atomic<int64_t>, kSizes> means_{};
};

}  // namespace redisai
