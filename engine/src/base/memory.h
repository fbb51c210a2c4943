// Where the bytes of values live. The module points this at Redis' allocator when it loads, so that
// `maxmemory`, `MEMORY USAGE` and `used_memory` see tensors and models; before that, and in unit tests, it is
// malloc.
#pragma once

#include <cstddef>

namespace redisai {

struct Allocator {
  void* (*try_allocate)(size_t size_bytes);  // null when the memory cannot be had
  void (*free)(void* block);
  size_t (*size)(void* block);  // what the block really costs
};

void SetAllocator(const Allocator& allocator);

[[nodiscard]] void* TryAllocate(size_t size_bytes);
void Free(void* block) noexcept;
size_t AllocatedSize(const void* block);

}  // namespace redisai
