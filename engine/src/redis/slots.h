// The cluster slot of a key, as the cluster's specification defines it: CRC16 of the text between the first
// `{` and the next `}`, or of all of the key where there is none.
#pragma once

#include <cstdint>
#include <string_view>

namespace redisai::redis {

inline int KeySlot(std::string_view key) {
  if (const size_t open = key.find('{'); open != std::string_view::npos) {
    const size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  uint16_t crc = 0;
  for (const char c : key) {
    crc ^= static_cast<uint16_t>(static_cast<unsigned char>(c) << 8);
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<uint16_t>(crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1);
    }
  }
  return crc % 16384;
}

}  // namespace redisai::redis
