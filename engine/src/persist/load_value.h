// What loading a value of any of our types has in common.
#pragma once

#include "base/result.h"
#include "persist/types.h"
#include "redis/api.h"
#include "redis/guard.h"

namespace redisai::persist {

// Reads a value of one type with `read`, which returns a Result; `own` turns it into what the key holds.
// Null, which the server takes for damage, when the encoding is of another version or `read` fails; the log
// says why.
template <typename Read, typename Own>
void* LoadValue(RedisModuleIO* io, int version, const char* what, Read read, Own own) noexcept {
  return redis::Guarded<void*>(nullptr, [&]() -> void* {
    if (version != kEncodingVersion) {
      redis::LogIOError(io, "warning", "a %s of encoding version %d is newer than this engine", what,
                        version);
      return nullptr;
    }
    auto value = read(io);
    if (!value) {
      redis::LogIOError(io, "warning", "cannot load a %s: %s", what, value.error().text.c_str());
      return nullptr;
    }
    return own(std::move(*value));
  });
}

}  // namespace redisai::persist
