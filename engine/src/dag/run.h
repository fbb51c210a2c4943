// Runs a graph, in the order of its operations.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/result.h"
#include "dag/graph.h"
#include "values/tensor.h"

namespace redisai {

// An operation that could not run because one it needs failed.
struct NotAvailable {};
// What became of one operation; TensorRef is what a GetOp found.
using Outcome = std::variant<std::monostate, TensorRef, Error, NotAvailable>;

struct RunResult {
  std::vector<Outcome> outcomes;   // one an operation
  std::vector<TensorRef> tensors;  // by slot; empty where the operation that makes it did not succeed

  // The error of the first operation that failed.
  const Error* first_error() const;
};

// On any thread; touches nothing but the graph's values and the counters of its models. Never throws.
RunResult RunGraph(const Graph& graph) noexcept;

}  // namespace redisai
