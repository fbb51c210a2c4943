#include "values/tensor.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "base/memory.h"

namespace redisai {

TensorRef::TensorRef(const Tensor* tensor) : tensor_(tensor) {
  if (tensor_) tensor_->references_.fetch_add(1, std::memory_order_relaxed);
}

TensorRef::~TensorRef() {
  if (!tensor_ || tensor_->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  Free(const_cast<Tensor*>(tensor_));
}

Result<int64_t> ElementCount(Dims dims, size_t element_size_bytes) {
  // A zero among the dimensions must not hide an overflow of the others.
  int64_t count = 1;
  bool empty = false;
  for (const int64_t dim : dims) {
    if (dim < 0) return Error{"invalid or negative value found in tensor shape"};
    if (dim == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, dim, &count)) {
      return Error{"the tensor's shape is too large"};
    }
  }
  if (count > Tensor::kMaxSizeBytes / static_cast<int64_t>(element_size_bytes))
    return Error{"the tensor's shape is too large"};
  return empty ? 0 : count;
}

Result<TensorRef> Tensor::Uninitialized(DType dtype, Dims dims) {
  if (dims.size() > kMaxDims)
    return Error{"a tensor has at most " + std::to_string(kMaxDims) + " dimensions"};
  const auto count = ElementCount(dims, SizeBytes(dtype));
  if (!count) return count.error();
  const size_t size_bytes =
      sizeof(Tensor) + dims.size_bytes() + static_cast<size_t>(*count) * SizeBytes(dtype);
  void* block = TryAllocate(size_bytes);
  if (!block) return Error{"not enough memory for a tensor of " + std::to_string(size_bytes) + " bytes"};
  auto* tensor = new (block) Tensor(dtype, static_cast<uint8_t>(dims.size()));
  std::copy(dims.begin(), dims.end(), reinterpret_cast<int64_t*>(tensor + 1));
  return TensorRef(tensor);
}

Result<TensorRef> Tensor::Zeros(DType dtype, Dims dims) {
  auto tensor = Uninitialized(dtype, dims);
  if (tensor) std::memset(MutableData(*tensor), 0, (*tensor)->size_bytes());
  return tensor;
}

Result<TensorRef> Tensor::FromBlob(DType dtype, Dims dims, std::string_view blob) {
  const auto count = ElementCount(dims, SizeBytes(dtype));
  if (!count) return count.error();
  if (static_cast<size_t>(*count) * SizeBytes(dtype) != blob.size()) {
    return Error{"data length does not match tensor shape and type"};
  }
  if (dtype == DType::kBool &&
      std::any_of(blob.begin(), blob.end(), [](char c) { return c != 0 && c != 1; })) {
    return Error{"BOOL tensor elements must be 0 or 1"};
  }
  auto tensor = Uninitialized(dtype, dims);
  if (tensor) std::copy(blob.begin(), blob.end(), MutableData(*tensor));
  return tensor;
}

int64_t Tensor::element_count() const {
  int64_t count = 1;
  for (const int64_t dim : dims()) count *= dim;
  return count;
}

size_t Tensor::memory_bytes() const { return AllocatedSize(this); }

}  // namespace redisai
