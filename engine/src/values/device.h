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

  bool operator==(const Device&) const = default;

  // As the caller wrote it, in upper case; also the name of the device's queue.
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
    return device;
  }

 private:
  // Each number is a queue with its threads, so a client must not be able to name a million of them.
  static constexpr int kMaxNumber = 63;
};

}  // namespace redisai
