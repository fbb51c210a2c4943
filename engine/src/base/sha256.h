// The SHA-256 digest (FIPS 180-4) of bytes in memory. libtorch brings none in its headers.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace redisai {

using Sha256Digest = std::array<uint8_t, 32>;

Sha256Digest Sha256(std::string_view bytes);

// In lower-case hexadecimal, as sha256sum prints it.
std::string ToHex(const Sha256Digest& digest);

}  // namespace redisai
