// Bounds that several parts share.
#pragma once

#include <cstdint>

namespace redisai {

// Of any time that a caller may set, in milliseconds: far enough for every wait, near enough for the clock's
// arithmetic.
inline constexpr int64_t kMaxWaitMs = int64_t{1} << 40;

// Of lists in lists, in what a script makes and in what the server answers it: what follows them recurses.
inline constexpr int kMaxValueDepth = 128;

}  // namespace redisai
