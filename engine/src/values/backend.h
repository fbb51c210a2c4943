// The libraries that models are for, as RedisAI knows them. This engine runs TORCH; models of the others,
// which come from RedisAI's files, are kept as they are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/text.h"

namespace redisai {

// The numbers are in RDB files: never reuse or reorder them.
enum class Backend : uint8_t { kTf = 0, kTflite = 1, kTorch = 2, kOnnx = 3 };

inline constexpr std::array<std::string_view, 4> kBackendNames = {"TF", "TFLITE", "TORCH", "ONNX"};

inline constexpr std::string_view Name(Backend backend) {
  return kBackendNames[static_cast<size_t>(backend)];
}

inline std::optional<Backend> BackendFromName(std::string_view name) {
  for (size_t i = 0; i < kBackendNames.size(); ++i) {
    if (EqualsIgnoreCase(name, kBackendNames[i])) return static_cast<Backend>(i);
  }
  return std::nullopt;
}

}  // namespace redisai
