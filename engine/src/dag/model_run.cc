#include "dag/model_run.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

namespace redisai {
namespace {

Result<Tensors> Run(const Model& model, std::span<const TensorRef> inputs, size_t output_count) {
  if (!model.program()) return model.program().error();
  auto outputs = (*model.program())->Run(inputs);
  if (outputs && outputs->size() != output_count) {
    return Error{"the model returned " + std::to_string(outputs->size()) + " tensors where " +
                 std::to_string(output_count) + " outputs were named"};
  }
  return outputs;
}

// Runs and counts `calls` requests that `inputs` serve.
Result<Tensors> RunAndCount(const Model& model, std::span<const TensorRef> inputs, size_t output_count,
                            int64_t calls) {
  const auto start = std::chrono::steady_clock::now();
  auto outputs = Run(model, inputs, output_count);
  const std::chrono::nanoseconds duration = std::chrono::steady_clock::now() - start;
  if (outputs) model.costs().Learn(TotalBytes(inputs), duration.count());
  for (RunStats* stats : {&model.stats(), &Model::TotalStats()}) {
    stats->calls += calls;
    if (outputs) {
      stats->duration_us += std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
      stats->samples += inputs.empty() || inputs[0]->dims().empty() ? 1 : inputs[0]->dims()[0];
    } else {
      stats->errors += calls;
    }
  }
  return outputs;
}

Dims RowDims(const Tensor& tensor) { return tensor.dims().subspan(1); }

size_t RowBytes(const Tensor& tensor) {
  const int64_t rows = tensor.dims()[0];
  return rows == 0 ? 0 : tensor.size_bytes() / static_cast<size_t>(rows);
}

// A tensor like `like`, with `rows` rows that are not yet written.
Result<TensorRef> WithRows(const Tensor& like, int64_t rows) {
  std::vector<int64_t> dims(like.dims().begin(), like.dims().end());
  dims[0] = rows;
  return Tensor::Uninitialized(like.dtype(), dims);
}

// Input `index` of all requests, one below the other.
Result<TensorRef> Concatenate(std::span<const Tensors* const> requests, size_t index, int64_t rows) {
  auto joined = WithRows(*(*requests[0])[index], rows);
  if (!joined) return joined;
  char* target = Tensor::MutableData(*joined);
  for (const Tensors* request : requests) target = std::ranges::copy((*request)[index]->blob(), target).out;
  return joined;
}

// `rows` rows of `output` from row `first`.
Result<TensorRef> Slice(const Tensor& output, int64_t first, int64_t rows) {
  auto slice = WithRows(output, rows);
  if (!slice) return slice;
  const size_t row_bytes = RowBytes(output);
  std::memcpy(Tensor::MutableData(*slice), output.data() + static_cast<size_t>(first) * row_bytes,
              static_cast<size_t>(rows) * row_bytes);
  return slice;
}

Result<Tensors> RunBatch(const Model& model, std::span<const Tensors* const> requests, int64_t rows,
                         size_t output_count) {
  Tensors inputs;
  for (size_t i = 0; i < requests[0]->size(); ++i) {
    auto joined = Concatenate(requests, i, rows);
    if (!joined) return joined.error();
    inputs.push_back(*joined);
  }
  auto outputs = RunAndCount(model, inputs, output_count, static_cast<int64_t>(requests.size()));
  if (!outputs) return outputs;
  for (const TensorRef& output : *outputs) {
    if (output->dims().empty() || output->dims()[0] != rows) {
      return Error{"Model did not generate the expected batch size"};
    }
  }
  return outputs;
}

Result<Tensors> SliceAll(const Tensors& outputs, int64_t first, int64_t rows) {
  Tensors own;
  for (const TensorRef& output : outputs) {
    auto slice = Slice(*output, first, rows);
    if (!slice) return slice.error();
    own.push_back(*slice);
  }
  return own;
}

}  // namespace

Result<Tensors> RunModel(const Model& model, std::span<const TensorRef> inputs, size_t output_count) {
  return RunAndCount(model, inputs, output_count, 1);
}

size_t TotalBytes(std::span<const TensorRef> tensors) {
  size_t size_bytes = 0;
  for (const TensorRef& tensor : tensors) size_bytes += tensor->size_bytes();
  return size_bytes;
}

int64_t BatchRows(std::span<const TensorRef> inputs) {
  if (inputs.empty() || inputs[0]->dims().empty()) return 0;
  const int64_t rows = inputs[0]->dims()[0];
  const bool all = std::ranges::all_of(inputs, [rows](const TensorRef& input) {
    // The rows of a STRING tensor are not of one size; the model refuses it anyway.
    return input->dtype() != DType::kString && !input->dims().empty() && input->dims()[0] == rows;
  });
  return all ? rows : 0;
}

bool CanJoin(std::span<const TensorRef> left, std::span<const TensorRef> right) {
  return std::ranges::equal(left, right, [](const TensorRef& a, const TensorRef& b) {
    return a->dtype() == b->dtype() && std::ranges::equal(RowDims(*a), RowDims(*b));
  });
}

std::vector<Result<Tensors>> RunJoined(const Model& model, std::span<const Tensors* const> requests,
                                       size_t output_count) {
  int64_t rows = 0;
  for (const Tensors* request : requests) rows += BatchRows(*request);
  const auto outputs = RunBatch(model, requests, rows, output_count);
  std::vector<Result<Tensors>> results;
  int64_t first = 0;
  for (const Tensors* request : requests) {
    const int64_t own_rows = BatchRows(*request);
    results.push_back(outputs ? SliceAll(*outputs, first, own_rows) : Result<Tensors>(outputs.error()));
    first += own_rows;
  }
  return results;
}

}  // namespace redisai
