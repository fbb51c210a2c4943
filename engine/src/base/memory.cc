#include "base/memory.h"

#include <malloc.h>

#include <cstdlib>

namespace redisai {
namespace {

// Written once, while the module loads and no other thread exists.
Allocator allocator = {std::malloc, std::free, malloc_usable_size};

}  // namespace

void SetAllocator(const Allocator& chosen) { allocator = chosen; }

void* TryAllocate(size_t size_bytes) { return allocator.try_allocate(size_bytes); }

void Free(void* block) noexcept { allocator.free(block); }

size_t AllocatedSize(const void* block) { return allocator.size(const_cast<void*>(block)); }

}  // namespace redisai
