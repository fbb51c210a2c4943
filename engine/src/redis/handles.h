// RAII around what the server lends: strings and open keys. Main thread only.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "redis/api.h"

namespace redisai::redis {

inline std::string_view View(const RedisModuleString* string) {
  size_t size = 0;
  const char* data = StringPtrLen(string, &size);
  return {data, size};
}

// An owned reference to a server string.
class String {
 public:
  // A new string with a copy of `text`.
  explicit String(std::string_view text) : string_(CreateString(nullptr, text.data(), text.size())) {}
  // Keeps an argument of the running command beyond it.
  static String Hold(RedisModuleCtx* ctx, RedisModuleString* argument) {
    return String(HoldString(ctx, argument));
  }

  String(String&& other) noexcept : string_(std::exchange(other.string_, nullptr)) {}
  String& operator=(String&& other) noexcept {
    std::swap(string_, other.string_);
    return *this;
  }
  ~String() {
    if (string_) FreeString(nullptr, string_);
  }

  RedisModuleString* get() const { return string_; }
  std::string_view view() const { return View(string_); }

 private:
  explicit String(RedisModuleString* owned) : string_(owned) {}

  RedisModuleString* string_;
};

// The same strings as the array of pointers that RM_Replicate and RM_EmitAOF take for `v`. Valid while
// `strings` is.
inline std::vector<RedisModuleString*> Pointers(const std::vector<String>& strings) {
  std::vector<RedisModuleString*> pointers;
  pointers.reserve(strings.size());
  for (const String& string : strings) pointers.push_back(string.get());
  return pointers;
}

class Key {
 public:
  Key(RedisModuleCtx* ctx, RedisModuleString* name, int mode) : key_(OpenKey(ctx, name, mode)) {}
  ~Key() { CloseKey(key_); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

  // A key opened for reading that does not exist is null in the API; both forms count as empty here.
  bool empty() const { return !key_ || KeyType(key_) == kKeyEmpty; }
  bool holds(RedisModuleType* type) const {
    return !empty() && KeyType(key_) == kKeyModule && ModuleTypeGetType(key_) == type;
  }
  void* value() const { return ModuleTypeGetValue(key_); }
  void Set(RedisModuleType* type, void* value) { ModuleTypeSetValue(key_, type, value); }
  void Delete() { DeleteKey(key_); }

 private:
  RedisModuleKey* key_;
};

}  // namespace redisai::redis
