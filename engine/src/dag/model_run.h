// Runs of a model: one request's, or several joined along dimension 0. Counted for AI.INFO.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "values/model.h"
#include "values/tensor.h"

namespace redisai {

using Tensors = std::vector<TensorRef>;

// On any thread. The result has `output_count` tensors.
Result<Tensors> RunModel(const Model& model, std::span<const TensorRef> inputs, size_t output_count);

// Of the data of all of them.
size_t TotalBytes(std::span<const TensorRef> tensors);

// The rows that all of the inputs have, dimension 0; 0 when they differ or an input has no dimensions, and
// the request cannot be joined with others.
int64_t BatchRows(std::span<const TensorRef> inputs);

// Whether two requests that have rows fit together: as many inputs, equal types, equal dimensions after the
// first.
bool CanJoin(std::span<const TensorRef> left, std::span<const TensorRef> right);

// Runs requests that can be joined as one, and gives each its rows of every output, in the order of
// `requests`. An error, or an output whose dimension 0 is not the batch's, is everyone's error.
std::vector<Result<Tensors>> RunJoined(const Model& model, std::span<const Tensors* const> requests,
                                       size_t output_count);

}  // namespace redisai
