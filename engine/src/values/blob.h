// Immutable bytes in Redis' memory: a model as it was stored.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/memory.h"
#include "base/result.h"

namespace redisai {

class Blob {
 public:
  using Ref = std::shared_ptr<const Blob>;

  // One blob of all the chunks, in order.
  static Result<Ref> Join(std::span<const std::string_view> chunks) {
    size_t size_bytes = 0;
    for (const auto chunk : chunks) size_bytes += chunk.size();
    void* block = TryAllocate(size_bytes ? size_bytes : 1);
    if (!block) return Error{"not enough memory for a blob of " + std::to_string(size_bytes) + " bytes"};
    std::shared_ptr<Blob> blob(new Blob(static_cast<char*>(block), size_bytes));
    size_t at = 0;
    for (const auto chunk : chunks) {
      if (!chunk.empty()) std::memcpy(blob->data_ + at, chunk.data(), chunk.size());
      at += chunk.size();
    }
    return Ref(std::move(blob));
  }

  ~Blob() { Free(data_); }
  Blob(const Blob&) = delete;
  Blob& operator=(const Blob&) = delete;

  std::string_view view() const { return {data_, size_bytes_}; }
  size_t memory_bytes() const { return AllocatedSize(data_); }

 private:
  Blob(char* data, size_t size_bytes) : data_(data), size_bytes_(size_bytes) {}

  char* data_;
  size_t size_bytes_;
};

}  // namespace redisai
