#include "dag/run.h"

#include <chrono>
#include <span>
#include <utility>

namespace redisai {
namespace {

Result<std::vector<TensorRef>> RunModel(const Model& model, std::span<const TensorRef> inputs,
                                        size_t output_count) {
  if (!model.program()) return model.program().error();
  auto outputs = (*model.program())->Run(inputs);
  if (outputs && outputs->size() != output_count) {
    return Error{"the model returned " + std::to_string(outputs->size()) + " tensors where " +
                 std::to_string(output_count) + " outputs were named"};
  }
  return outputs;
}

// The same, counted for AI.INFO.
Result<std::vector<TensorRef>> RunAndCount(const Model& model, std::span<const TensorRef> inputs,
                                           size_t output_count) {
  const auto start = std::chrono::steady_clock::now();
  auto outputs = RunModel(model, inputs, output_count);
  const auto duration = std::chrono::steady_clock::now() - start;
  RunStats& stats = model.stats();
  stats.calls += 1;
  if (outputs) {
    stats.duration_us += std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
    stats.samples += inputs.empty() || inputs[0]->dims().empty() ? 1 : inputs[0]->dims()[0];
  } else {
    stats.errors += 1;
  }
  return outputs;
}

class Runner {
 public:
  explicit Runner(std::vector<TensorRef>& tensors) : tensors_(tensors) {}

  Outcome operator()(const SetOp& op) {
    tensors_[op.slot] = op.tensor;
    return std::monostate{};
  }

  Outcome operator()(const GetOp& op) {
    if (!tensors_[op.slot]) return NotAvailable{};
    return tensors_[op.slot];
  }

  Outcome operator()(const ModelOp& op) {
    std::vector<TensorRef> inputs;
    inputs.reserve(op.inputs.size());
    for (const Slot slot : op.inputs) {
      if (!tensors_[slot]) return NotAvailable{};
      inputs.push_back(tensors_[slot]);
    }
    auto outputs = RunAndCount(*op.model, inputs, op.outputs.size());
    if (!outputs) return outputs.error();
    for (size_t i = 0; i < outputs->size(); ++i) tensors_[op.outputs[i]] = std::move((*outputs)[i]);
    return std::monostate{};
  }

 private:
  std::vector<TensorRef>& tensors_;
};

}  // namespace

const Error* RunResult::first_error() const {
  for (const Outcome& outcome : outcomes) {
    if (const auto* error = std::get_if<Error>(&outcome)) return error;
  }
  return nullptr;
}

RunResult RunGraph(const Graph& graph) noexcept {
  RunResult result{{}, graph.tensors()};
  result.outcomes.reserve(graph.ops().size());
  Runner runner(result.tensors);
  for (const Op& op : graph.ops()) result.outcomes.push_back(std::visit(runner, op));
  return result;
}

}  // namespace redisai
