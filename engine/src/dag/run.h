// One run of a graph, driven from operation to operation, so that whoever drives it may choose the thread of
// each run and may join the model runs of several graphs.
//
// Threads: one at a time, whichever drives it; nothing here is shared but immutable values and the counters
// of models and scripts.
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

class GraphRun {
 public:
  explicit GraphRun(Graph graph) : graph_(std::move(graph)), tensors_(graph_.tensors()) {}

  // Does what takes no time, names and references, up to the next run that has its inputs. That operation
  // then waits for Complete; null when the graph has ended.
  const RunOp* Advance();
  // What Advance returned last.
  const RunOp* waiting() const { return waiting_; }
  // The inputs of the waiting operation.
  const std::vector<TensorRef>& inputs() const { return inputs_; }
  // Gives the waiting operation its outputs, as many as it names, or the error that it answers with.
  void Complete(Result<std::vector<TensorRef>> outputs);
  // Runs to the end, here and now.
  void Finish();

  const Graph& graph() const { return graph_; }
  const std::vector<Outcome>& outcomes() const { return outcomes_; }  // one an operation that is done
  // Empty where the operation that makes it did not succeed.
  const TensorRef& tensor(Slot slot) const { return tensors_[slot]; }
  // The error of the first operation that failed.
  const Error* first_error() const;

 private:
  std::optional<std::vector<TensorRef>> FindInputs(const RunOp& op) const;

  const Graph graph_;
  std::vector<TensorRef> tensors_;  // by slot
  std::vector<Outcome> outcomes_;
  const RunOp* waiting_ = nullptr;
  std::vector<TensorRef> inputs_;
};

}  // namespace redisai
