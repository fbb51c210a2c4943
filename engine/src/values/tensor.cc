#include "values/tensor.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "base/memory.h"

namespace redisai {
namespace {

Error TooLarge() { return {"the tensor's data is too large"}; }

}  // namespace

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
  if (dtype == DType::kString) return Error{"the size of a STRING tensor does not follow from its shape"};
  const auto count = ElementCount(dims, SizeBytes(dtype));
  if (!count) return count.error();
  return Make(dtype, dims, static_cast<size_t>(*count) * SizeBytes(dtype));
}

Result<TensorRef> Tensor::Make(DType dtype, Dims dims, size_t data_bytes) {
  if (dims.size() > kMaxDims)
    return Error{"a tensor has at most " + std::to_string(kMaxDims) + " dimensions"};
  const bool keeps_size = dtype == DType::kString;
  const size_t size_bytes =
      sizeof(Tensor) + dims.size_bytes() + (keeps_size ? sizeof(int64_t) : 0) + data_bytes;
  void* block = TryAllocate(size_bytes);
  if (!block) return Error{"not enough memory for a tensor of " + std::to_string(size_bytes) + " bytes"};
  auto* tensor = new (block) Tensor(dtype, static_cast<uint8_t>(dims.size()));
  int64_t* end_of_dims = std::copy(dims.begin(), dims.end(), reinterpret_cast<int64_t*>(tensor + 1));
  if (keeps_size) *end_of_dims = static_cast<int64_t>(data_bytes);
  return TensorRef(tensor);
}

Result<TensorRef> Tensor::Zeros(DType dtype, Dims dims) {
  const auto count = ElementCount(dims, SizeBytes(dtype));
  if (!count) return count.error();
  // Of a STRING tensor, empty elements: a NUL each.
  auto tensor = Make(dtype, dims, static_cast<size_t>(*count) * SizeBytes(dtype));
  if (tensor) std::memset(MutableData(*tensor), 0, (*tensor)->size_bytes());
  return tensor;
}

Result<TensorRef> Tensor::FromBlob(DType dtype, Dims dims, std::string_view blob) {
  const auto count = ElementCount(dims, SizeBytes(dtype));
  if (!count) return count.error();
  if (dtype == DType::kString) {
    const bool ended = blob.empty() || blob.back() == '\0';
    if (!ended || std::count(blob.begin(), blob.end(), '\0') != *count)
      return Error{"Number of string elements in data blob does not match tensor length"};
    if (blob.size() > static_cast<size_t>(kMaxSizeBytes)) return TooLarge();
  } else if (static_cast<size_t>(*count) * SizeBytes(dtype) != blob.size()) {
    return Error{"data length does not match tensor shape and type"};
  }
  if (dtype == DType::kBool &&
      std::any_of(blob.begin(), blob.end(), [](char c) { return c != 0 && c != 1; })) {
    return Error{"BOOL tensor elements must be 0 or 1"};
  }
  auto tensor = Make(dtype, dims, blob.size());
  if (tensor) std::copy(blob.begin(), blob.end(), MutableData(*tensor));
  return tensor;
}

Result<TensorRef> Tensor::FromStrings(Dims dims, std::span<const std::string_view> elements) {
  size_t size_bytes = 0;
  for (const std::string_view element : elements) {
    if (element.find('\0') != std::string_view::npos) return Error{"C-string value contains null character"};
    size_bytes += element.size() + 1;
  }
  if (size_bytes > static_cast<size_t>(kMaxSizeBytes)) return TooLarge();
  auto tensor = Make(DType::kString, dims, size_bytes);
  if (!tensor) return tensor;
  char* target = MutableData(*tensor);
  for (const std::string_view element : elements) {
    target = std::copy(element.begin(), element.end(), target);
    *target++ = '\0';
  }
  return tensor;
}

int64_t Tensor::element_count() const {
  int64_t count = 1;
  for (const int64_t dim : dims()) count *= dim;
  return count;
}

size_t Tensor::memory_bytes() const { return AllocatedSize(this); }

}  // namespace redisai
