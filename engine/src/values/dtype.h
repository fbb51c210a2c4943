// The element types of tensors, their names on the wire, and their sizes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/text.h"

namespace redisai {

// The numbers are written to RDB files: never reuse or reorder them.
enum class DType : uint8_t {
  kFloat = 0,
  kDouble = 1,
  kInt8 = 2,
  kInt16 = 3,
  kInt32 = 4,
  kInt64 = 5,
  kUint8 = 6,
  kUint16 = 7,
  kBool = 8,
  kHalf = 9,
  kBfloat16 = 10,
  kString = 11,
};

struct DTypeInfo {
  std::string_view name;
  size_t size_bytes;  // of one element; of a STRING, the least: the NUL that ends it
};

inline constexpr std::array<DTypeInfo, 12> kDTypes = {{
    {"FLOAT", 4},
    {"DOUBLE", 8},
    {"INT8", 1},
    {"INT16", 2},
    {"INT32", 4},
    {"INT64", 8},
    {"UINT8", 1},
    {"UINT16", 2},
    {"BOOL", 1},
    {"HALF", 2},
    {"BFLOAT16", 2},
    {"STRING", 1},
}};

inline constexpr std::string_view Name(DType dtype) { return kDTypes[static_cast<size_t>(dtype)].name; }
inline constexpr size_t SizeBytes(DType dtype) { return kDTypes[static_cast<size_t>(dtype)].size_bytes; }

inline std::optional<DType> DTypeFromNumber(uint64_t number) {
  if (number >= kDTypes.size()) return std::nullopt;
  return static_cast<DType>(number);
}

inline std::optional<DType> DTypeFromName(std::string_view name) {
  for (size_t i = 0; i < kDTypes.size(); ++i) {
    if (EqualsIgnoreCase(name, kDTypes[i].name)) return static_cast<DType>(i);
  }
  return std::nullopt;
}

}  // namespace redisai
