// Checked reads of an RDB payload: after the first failure every further read fails too, and the loader looks
// once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "redis/api.h"

namespace redisai::redis {

class RdbReader {
 public:
  explicit RdbReader(RedisModuleIO* io) : io_(io) {}

  // A number from 0 to `limit`.
  std::optional<uint64_t> Number(uint64_t limit) {
    if (failed_) return std::nullopt;
    const uint64_t number = LoadUnsigned(io_);
    if (IsIOError(io_) || number > limit) {
      failed_ = true;
      return std::nullopt;
    }
    return number;
  }

  // Bytes in the server's memory, freed with the reader's result.
  class Bytes {
   public:
    Bytes(char* data, size_t size) : data_(data), size_(size) {}
    Bytes(Bytes&& other) noexcept : data_(other.data_), size_(other.size_) { other.data_ = nullptr; }
    Bytes& operator=(Bytes&&) = delete;
    ~Bytes() {
      if (data_) Free(data_);
    }
    std::string_view view() const { return {data_, size_}; }

   private:
    char* data_;
    size_t size_;
  };
  std::optional<Bytes> String() {
    if (failed_) return std::nullopt;
    size_t size = 0;
    char* data = LoadStringBuffer(io_, &size);
    if (!data || IsIOError(io_)) {
      if (data) Free(data);
      failed_ = true;
      return std::nullopt;
    }
    return Bytes(data, size);
  }

 private:
  RedisModuleIO* io_;
  bool failed_ = false;
};

}  // namespace redisai::redis
