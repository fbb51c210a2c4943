// An immutable tensor: header, dimensions and data in one block of Redis' memory, counted by reference.
//
// One block and a counter inside it, rather than shared_ptr and vectors: a small tensor under a key is mostly
// overhead, and each allocation beside the data would add a third to a 25-float state. References may be
// taken and dropped on any thread; a tensor is written only while its maker alone holds it.
//
// The data of a STRING tensor is its elements one after the other, each ended by a NUL, so that its size does
// not follow from the shape: a STRING tensor, and no other, keeps it between the dimensions and the data.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "values/dtype.h"

namespace redisai {

using Dims = std::span<const int64_t>;

class Tensor;

// Counted reference to an immutable tensor; may be empty.
class TensorRef {
 public:
  TensorRef() = default;
  TensorRef(const TensorRef& other) : TensorRef(other.tensor_) {}
  TensorRef(TensorRef&& other) noexcept : tensor_(std::exchange(other.tensor_, nullptr)) {}
  TensorRef& operator=(TensorRef other) noexcept {
    std::swap(tensor_, other.tensor_);
    return *this;
  }
  ~TensorRef();

  const Tensor* operator->() const { return tensor_; }
  const Tensor& operator*() const { return *tensor_; }
  explicit operator bool() const { return tensor_ != nullptr; }

  // A key's value is a bare pointer that owns one reference: `Borrow` shares it, `Adopt` takes it back,
  // `Release` gives it away.
  static TensorRef Borrow(const void* value) { return TensorRef(static_cast<const Tensor*>(value)); }
  static TensorRef Adopt(void* value) {
    TensorRef ref;
    ref.tensor_ = static_cast<const Tensor*>(value);
    return ref;
  }
  void* Release() && { return const_cast<Tensor*>(std::exchange(tensor_, nullptr)); }

 private:
  friend class Tensor;
  explicit TensorRef(const Tensor* tensor);

  const Tensor* tensor_ = nullptr;
};

class Tensor {
 public:
  static constexpr size_t kMaxDims = 64;
  // A shape is a few bytes from a client; the memory it asks for must not be able to take the machine down.
  static constexpr int64_t kMaxSizeBytes = int64_t{4} << 30;

  // A tensor with room for its data, which the caller fills through MutableData before sharing the reference.
  // Not for STRING. Fails when there are too many dimensions, one is negative, the data too large, or memory
  // short.
  static Result<TensorRef> Uninitialized(DType dtype, Dims dims);
  static Result<TensorRef> Zeros(DType dtype, Dims dims);
  // Takes a copy of `blob`, which must have the size of the shape; of a STRING tensor, as many elements.
  static Result<TensorRef> FromBlob(DType dtype, Dims dims, std::string_view blob);
  // A STRING tensor of copies of `elements`, as many as the shape has.
  static Result<TensorRef> FromStrings(Dims dims, std::span<const std::string_view> elements);

  DType dtype() const { return dtype_; }
  Dims dims() const { return {words(), dim_count_}; }
  int64_t element_count() const;
  size_t size_bytes() const {
    if (dtype_ == DType::kString) return static_cast<size_t>(words()[dim_count_]);
    return static_cast<size_t>(element_count()) * SizeBytes(dtype_);
  }
  const char* data() const {
    return reinterpret_cast<const char*>(words() + dim_count_ + (dtype_ == DType::kString));
  }
  std::string_view blob() const { return {data(), size_bytes()}; }
  size_t memory_bytes() const;

  // For the maker of a tensor, before anyone else holds it.
  static char* MutableData(const TensorRef& tensor) { return const_cast<char*>(tensor->data()); }

 private:
  friend class TensorRef;
  Tensor(DType dtype, uint8_t dim_count) : dtype_(dtype), dim_count_(dim_count) {}

  // The checks are the callers'.
  static Result<TensorRef> Make(DType dtype, Dims dims, size_t data_bytes);
  const int64_t* words() const { return reinterpret_cast<const int64_t*>(this + 1); }

  mutable std::atomic<uint32_t> references_{0};
  DType dtype_;
  uint8_t dim_count_;
  // Dimensions (int64), of a STRING tensor the data's size (int64), then data, follow in the same block.
};
static_assert(sizeof(Tensor) == 8);

// Number of elements, or an error when a dimension is negative or the data would pass Tensor::kMaxSizeBytes.
Result<int64_t> ElementCount(Dims dims, size_t element_size_bytes);

}  // namespace redisai
