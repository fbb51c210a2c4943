// Where a model runs: CPU or GPU, with the number the caller gave. `CPU:3` is the same processor with a queue
// of its own.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/text.h"

namespace redisai {

struct Device {
  enum class Kind : uint8_t { kCpu, kGpu };
  Kind kind = Kind::kCpu;
  std::optional<int> number;
  // As the caller wrote it, which is what commands answer.
  std::string text = "CPU";

  bool operator==(const Device& other) const { return kind == other.kind && number == other.number; }

  // In upper case: the name of the device's queue.
  std::string name() const {
    const std::string base = kind == Kind::kCpu ? "CPU" : "GPU";
    return number ? base + ":" + std::to_string(*number) : base;
  }

  static std::optional<Device> Parse(std::string_view text) {
    Device device;
    const size_t colon = text.find(':');
    const std::string_view kind = text.substr(0, colon);
    if (EqualsIgnoreCase(kind, "GPU")) {
      device.kind = Kind::kGpu;
    } else if (!EqualsIgnoreCase(kind, "CPU")) {
      return std::nullopt;
    }
    if (colon != std::string_view::npos) {
      const auto number = ParseNumber<int>(text.substr(colon + 1));
      if (!number || *number < 0 || *number > kMaxNumber) return std::nullopt;
      device.number = number;
    }
    device.text = text;
    return device;
  }

  // What RedisAI took besides: any text that begins with CPU; of GPUs no number, or one beyond ours, which
  // become the first.
  static std::optional<Device> ParseLenient(std::string_view text) {
    if (auto device = Parse(text)) return device;
    if (EqualsIgnoreCase(text.substr(0, 3), "CPU")) return Parse("CPU");
    const bool is_gpu = EqualsIgnoreCase(text.substr(0, 4), "GPU:") &&
                        text.find_first_not_of("0123456789", 4) == std::string_view::npos;
    return is_gpu ? Parse("GPU:0") : std::nullopt;
  }

 private:
  // Each number is a queue with its threads, so a client must not be able to name a million of them.
  static constexpr int kMaxNumber = 63;
};

}  // namespace redisai
