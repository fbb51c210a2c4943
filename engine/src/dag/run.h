// One run of a graph, driven from operation to operation, so that whoever drives it may choose the thread of
// each and may join the model runs of several graphs.
//
// Operations of one device run in order, one at a time; those of different devices as soon as their inputs
// exist. Each slot is written once, so that what an AI.TENSORGET finds does not depend on who was faster.
//
// Threads: one at a time; the driver has a lock where it drives from several.
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
  explicit GraphRun(Graph graph);

  // A run operation that can start now.
  struct Ready {
    size_t index;  // in the graph's operations
    const RunOp& op;
    std::vector<TensorRef> inputs;
  };
  // The first of them, or nothing: then all that are left wait for what has started, or the run has ended.
  std::optional<Ready> FindReady() const;
  // Marks the operation that FindReady gave as started; Complete follows.
  void Start(size_t index) { ChainOf(index).busy = true; }
  // Gives an operation its outputs, as many as it names, or the error that it answers with.
  void Complete(size_t index, Result<std::vector<TensorRef>> outputs);
  // Runs to the end, here and now, what has not started.
  void Finish();

  // Whether nothing is left to start or to complete.
  bool ended() const { return left_ == 0; }

  const Graph& graph() const { return graph_; }
  // Of an operation of a run that has ended.
  Outcome outcome(size_t index) const;
  // Empty where the operation that makes it did not succeed.
  const TensorRef& tensor(Slot slot) const { return tensors_[slot]; }
  // The error of the first operation that failed.
  const Error* first_error() const;

 private:
  // The run operations of one device.
  struct Chain {
    Device device;
    std::vector<size_t> operations;
    size_t next = 0;  // in `operations`
    bool busy = false;

    // The operation that may start next, as far as the device is concerned.
    std::optional<size_t> Next() const {
      if (busy || next == operations.size()) return std::nullopt;
      return operations[next];
    }
  };
  enum class Inputs : uint8_t { kExist, kAwaited, kMissing };

  const RunOp& RunOpAt(size_t index) const { return std::get<RunOp>(graph_.ops()[index]); }
  Chain& ChainOf(size_t index) { return chains_[chain_of_op_[index]]; }
  Inputs StateOfInputs(const RunOp& op) const;
  void EndOperation(size_t index, Outcome outcome);
  // Ends what can never start, its inputs being missing.
  void EndUnreachable();

  const Graph graph_;
  std::vector<TensorRef> tensors_;     // by slot
  std::vector<bool> missing_;          // by slot: the operation that should have made it did not succeed
  std::vector<Chain> chains_;          // one a device
  std::vector<size_t> chain_of_op_;    // by operation; of run operations
  std::vector<Outcome> run_outcomes_;  // by operation; of run operations
  size_t left_ = 0;                    // run operations that have not ended
};

}  // namespace redisai
