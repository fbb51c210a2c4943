// AI_TENSOR. RDB, ours: dtype, number of dimensions, each dimension, data as one string. RedisAI's versions 0
// to 3: device type and number, bits and code of the type, lanes, number of dimensions, each dimension, each
// stride, offset, data; version 4: code, bits, number of dimensions, each dimension, data, of STRING each
// element's offset.
//
// Threads: load, save, copy and digest run on the main thread, save also in the forked child; free may run on
// the server's background thread, which is why a tensor's counter is atomic.

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "persist/arguments.h"
#include "persist/load_value.h"
#include "persist/types.h"
#include "redis/rdb.h"
#include "values/tensor.h"

namespace redisai::persist {
namespace {

// Of RedisAI's versions.
constexpr int kLastWithHeader = 3;

RedisModuleType* tensor_type = nullptr;

Error Damaged() { return {"the tensor is damaged"}; }

using DimArray = std::array<int64_t, Tensor::kMaxDims>;

// A number of dimensions and each of them.
std::optional<Dims> ReadDims(redis::RdbReader& rdb, DimArray& dims) {
  const auto dim_count = rdb.Number(Tensor::kMaxDims);
  if (!dim_count) return std::nullopt;
  for (uint64_t i = 0; i < *dim_count; ++i) {
    const auto dim = rdb.Number(INT64_MAX);
    if (!dim) return std::nullopt;
    dims[i] = static_cast<int64_t>(*dim);
  }
  return Dims(dims.data(), *dim_count);
}

Result<TensorRef> ReadOurs(redis::RdbReader& rdb) {
  DimArray storage{};
  const auto dtype_number = rdb.Number(kDTypes.size() - 1);
  const auto dims = ReadDims(rdb, storage);
  if (!dims) return Damaged();
  const auto data = rdb.String();
  if (!data) return Damaged();
  return Tensor::FromBlob(*DTypeFromNumber(*dtype_number), *dims, data->view());
}

// DLPack's codes of types, and two of RedisAI's own.
std::optional<DType> FromDlPack(uint64_t code, uint64_t bits) {
  struct Row {
    uint64_t code;
    uint64_t bits;
    DType dtype;
  };
  constexpr std::array kRows = {
      Row{0, 8, DType::kInt8},   Row{0, 16, DType::kInt16}, Row{0, 32, DType::kInt32},
      Row{0, 64, DType::kInt64}, Row{1, 8, DType::kUint8},  Row{1, 16, DType::kUint16},
      Row{2, 16, DType::kHalf},  Row{2, 32, DType::kFloat}, Row{2, 64, DType::kDouble},
      Row{6, 8, DType::kBool},   Row{7, 8, DType::kString},
  };
  for (const Row& row : kRows) {
    if (row.code == code && row.bits == bits) return row.dtype;
  }
  return std::nullopt;
}

// The elements of `data`. Offsets of a slice may be those of the whole: where the data has as many elements
// as the shape, they do not count.
Result<TensorRef> ReadStrings(redis::RdbReader& rdb, Dims dims, std::string_view data) {
  const auto count = ElementCount(dims, SizeBytes(DType::kString));
  if (!count) return count.error();
  std::vector<uint64_t> offsets;  // grows with what is really there
  for (int64_t i = 0; i < *count; ++i) {
    const auto offset = rdb.Number(UINT64_MAX);
    if (!offset) return Damaged();
    offsets.push_back(*offset);
  }
  if (data.ends_with('\0') && std::ranges::count(data, '\0') == *count)
    return Tensor::FromBlob(DType::kString, dims, data);
  std::vector<std::string_view> elements;
  for (const uint64_t offset : offsets) {
    if (offset >= data.size()) return Damaged();
    const size_t end = data.find('\0', offset);
    if (end == std::string_view::npos) return Damaged();
    elements.push_back(data.substr(offset, end - offset));
  }
  return Tensor::FromStrings(dims, elements);
}

// Up to version 3 a whole DLPack header; strides mean nothing, since all was written row-major.
Result<TensorRef> ReadRedisAi(redis::RdbReader& rdb, int version) {
  constexpr uint64_t kCpu = 1;
  DimArray storage{};
  const bool with_header = version <= kLastWithHeader;
  if (with_header) {
    const auto device_type = rdb.Number(UINT64_MAX);
    rdb.Number(UINT64_MAX);  // the device's number
    if (!device_type || *device_type != kCpu) return Damaged();
  }
  const auto first = rdb.Number(UINT64_MAX);
  const auto second = rdb.Number(UINT64_MAX);
  if (!second) return Damaged();
  const auto dtype = with_header ? FromDlPack(*second, *first) : FromDlPack(*first, *second);
  if (!dtype) return Error{"the tensor is damaged, or of a type that RedisAI did not write"};
  if (with_header && (rdb.Number(1) != 1 || *dtype == DType::kString)) return Damaged();  // lanes
  const auto dims = ReadDims(rdb, storage);
  if (!dims) return Damaged();
  if (with_header) {
    for (size_t i = 0; i < dims->size(); ++i) rdb.Number(UINT64_MAX);  // strides
    if (rdb.Number(0) != 0) return Damaged();                          // the data's first byte
  }
  const auto data = rdb.String();
  if (!data) return Damaged();
  if (*dtype == DType::kString) return ReadStrings(rdb, *dims, data->view());
  if (*dtype != DType::kBool) return Tensor::FromBlob(*dtype, *dims, data->view());
  std::string zeros_and_ones(data->view());  // RedisAI did not check each byte
  for (char& byte : zeros_and_ones) byte = byte != 0;
  return Tensor::FromBlob(*dtype, *dims, zeros_and_ones);
}

Result<TensorRef> Read(RedisModuleIO* io, int version) {
  redis::RdbReader rdb(io);
  return version == kEncodingVersion ? ReadOurs(rdb) : ReadRedisAi(rdb, version);
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
