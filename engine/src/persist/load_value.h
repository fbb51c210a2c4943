// What loading a value of any of our types has in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/text.h"
#include "persist/types.h"
#include "redis/api.h"
#include "redis/guard.h"
#include "redis/handles.h"
#include "redis/rdb.h"
#include "values/device.h"

namespace redisai::persist {

// Of the value that is being read, on one line.
inline std::string KeyName(RedisModuleIO* io) {
  const auto* key = redis::GetKeyNameFromIO(io);
  return key ? OneLine(redis::View(key)) : std::string();
}

// A text as RedisAI wrote it, whose length may count a NUL at its end; or as we did.
inline std::string Text(std::string_view bytes, int version) {
  if (version != kEncodingVersion && bytes.ends_with('\0')) bytes.remove_suffix(1);
  return std::string(bytes);
}

// The device of a model or script that is kept, whatever RedisAI took for one.
inline std::optional<Device> LoadDevice(RedisModuleIO* io, const char* what, std::string_view text) {
  auto device = Device::ParseLenient(text);
  if (device && device->text != text) {
    redis::LogIOError(io, "warning", "the %s under the key '%s' is for the device '%s', which is read as %s",
                      what, KeyName(io).c_str(), OneLine(text).c_str(), device->text.c_str());
  }
  return device;
}

// `count` texts after their number; nothing when they are not there.
inline std::optional<std::vector<std::string>> Texts(redis::RdbReader& rdb, int version) {
  const auto count = rdb.Number(UINT64_MAX);
  if (!count) return std::nullopt;
  std::vector<std::string> texts;  // grows with what is really there, whatever the number says
  for (uint64_t i = 0; i < *count; ++i) {
    const auto text = rdb.String();
    if (!text) return std::nullopt;
    texts.push_back(Text(text->view(), version));
  }
  return texts;
}

// Reads a value of one type with `read`, which is given the encoding's version and returns a Result; `own`
// turns it into what the key holds. Null, which the server takes for damage, when the encoding is of another
// version or `read` fails; the log says why. A server that starts then ends, so `read` refuses only damage.
template <typename Read, typename Own>
void* LoadValue(RedisModuleIO* io, int version, const char* what, Read read, Own own) noexcept {
  return redis::Guarded<void*>(nullptr, [&]() -> void* {
    const bool known = version == kEncodingVersion || (version >= 0 && version <= kLastRedisAiVersion);
    auto value = known ? read(io, version)
                       : Error{"versions 0 to " + std::to_string(kLastRedisAiVersion) + " (RedisAI's) and " +
                               std::to_string(kEncodingVersion) + " are known"};
    if (!value) {
      redis::LogIOError(io, "warning", "cannot load the %s under the key '%s', encoding version %d: %s", what,
                        KeyName(io).c_str(), version, value.error().text.c_str());
      return nullptr;
    }
    return own(std::move(*value));
  });
}

}  // namespace redisai::persist
