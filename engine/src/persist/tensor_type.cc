// AI_TENSOR. RDB, version 1: dtype, number of dimensions, each dimension, data as one string.
//
// Threads: load, save, copy and digest run on the main thread, save also in the forked child; free may run on
// the server's background thread, which is why a tensor's counter is atomic.

#include <array>

#include "persist/arguments.h"
#include "persist/load_value.h"
#include "persist/types.h"
#include "redis/rdb.h"
#include "values/tensor.h"

namespace redisai::persist {
namespace {

RedisModuleType* tensor_type = nullptr;

Result<TensorRef> Read(RedisModuleIO* io) {
  redis::RdbReader rdb(io);
  const Error damaged{"the tensor is damaged"};
  const auto dtype_number = rdb.Number(kDTypes.size() - 1);
  const auto dim_count = rdb.Number(Tensor::kMaxDims);
  if (!dtype_number || !dim_count) return damaged;
  std::array<int64_t, Tensor::kMaxDims> dims{};
  for (uint64_t i = 0; i < *dim_count; ++i) {
    const auto dim = rdb.Number(INT64_MAX);
    if (!dim) return damaged;
    dims[i] = static_cast<int64_t>(*dim);
  }
  const auto data = rdb.String();
  if (!data) return damaged;
  return Tensor::FromBlob(*DTypeFromNumber(*dtype_number), Dims(dims.data(), *dim_count), data->view());
}

void* Load(RedisModuleIO* io, int version) noexcept {
  return LoadValue(io, version, "tensor", Read, [](TensorRef tensor) { return std::move(tensor).Release(); });
}

void Save(RedisModuleIO* io, void* value) noexcept {
  const TensorRef tensor = TensorRef::Borrow(value);
  redis::SaveUnsigned(io, static_cast<uint64_t>(tensor->dtype()));
  redis::SaveUnsigned(io, tensor->dims().size());
  for (const int64_t dim : tensor->dims()) redis::SaveUnsigned(io, static_cast<uint64_t>(dim));
  redis::SaveStringBuffer(io, tensor->data(), tensor->size_bytes());
}

void Rewrite(RedisModuleIO* io, RedisModuleString* key, void* value) noexcept {
  const TensorRef tensor = TensorRef::Borrow(value);
  const auto strings = DimArguments(*tensor);
  auto dims = redis::Pointers(strings);
  redis::EmitAOF(io, "AI.TENSORSET", "scvcb", key, Name(tensor->dtype()).data(), dims.data(), dims.size(),
                 "BLOB", tensor->data(), tensor->size_bytes());
}

void Digest(RedisModuleDigest* digest, void* value) noexcept {
  const TensorRef tensor = TensorRef::Borrow(value);
  redis::DigestAddLongLong(digest, static_cast<long long>(tensor->dtype()));
  for (const int64_t dim : tensor->dims()) redis::DigestAddLongLong(digest, dim);
  redis::DigestAddStringBuffer(digest, tensor->data(), tensor->size_bytes());
  redis::DigestEndSequence(digest);
}

size_t MemoryUsage(const void* value) noexcept { return TensorRef::Borrow(value)->memory_bytes(); }

// To give memory back is work by the page. Above 64 the server frees on its background thread; at 0 it would
// do so for every tensor.
size_t FreeEffort(RedisModuleString*, const void* value) noexcept {
  constexpr size_t kPageBytes = 4096;
  return 1 + TensorRef::Borrow(value)->size_bytes() / kPageBytes;
}

// Immutable, so that a copy is one more reference.
void* Copy(RedisModuleString*, RedisModuleString*, const void* value) noexcept {
  return TensorRef::Borrow(value).Release();
}

void FreeValue(void* value) noexcept { TensorRef::Adopt(value); }

}  // namespace

RedisModuleType* TensorType() { return tensor_type; }

bool RegisterTensorType(RedisModuleCtx* ctx) {
  redis::TypeMethods methods{.rdb_load = Load,
                             .rdb_save = Save,
                             .aof_rewrite = Rewrite,
                             .mem_usage = MemoryUsage,
                             .digest = Digest,
                             .free = FreeValue,
                             .free_effort = FreeEffort,
                             .copy = Copy};
  tensor_type = redis::CreateDataType(ctx, "AI_TENSOR", kEncodingVersion, &methods);
  return tensor_type != nullptr;
}

}  // namespace redisai::persist
