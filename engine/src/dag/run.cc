#include "dag/run.h"

#include <utility>

#include "dag/work_run.h"

namespace redisai {

const RunOp* GraphRun::Advance() {
  while (outcomes_.size() < graph_.ops().size()) {
    const Op& op = graph_.ops()[outcomes_.size()];
    if (const auto* run_op = std::get_if<RunOp>(&op)) {
      if (auto inputs = FindInputs(*run_op)) {
        inputs_ = std::move(*inputs);
        return waiting_ = run_op;
      }
      outcomes_.emplace_back(NotAvailable{});
    } else if (const auto* set = std::get_if<SetOp>(&op)) {
      tensors_[set->slot] = set->tensor;
      outcomes_.emplace_back(std::monostate{});
    } else if (const TensorRef& found = tensors_[std::get<GetOp>(op).slot]) {
      outcomes_.emplace_back(found);
    } else {
      outcomes_.emplace_back(NotAvailable{});
    }
  }
  return waiting_ = nullptr;
}

void GraphRun::Complete(Result<std::vector<TensorRef>> outputs) {
  inputs_.clear();
  if (!outputs) {
    outcomes_.emplace_back(outputs.error());
    return;
  }
  for (size_t i = 0; i < outputs->size(); ++i) tensors_[waiting_->outputs[i]] = std::move((*outputs)[i]);
  outcomes_.emplace_back(std::monostate{});
}

void GraphRun::Finish() {
  while (const RunOp* op = Advance()) Complete(RunWork(*op, inputs_));
}

const Error* GraphRun::first_error() const {
  for (const Outcome& outcome : outcomes_) {
    if (const auto* error = std::get_if<Error>(&outcome)) return error;
  }
  return nullptr;
}

std::optional<std::vector<TensorRef>> GraphRun::FindInputs(const RunOp& op) const {
  std::vector<TensorRef> inputs;
  inputs.reserve(op.inputs.size());
  for (const Slot slot : op.inputs) {
    if (!tensors_[slot]) return std::nullopt;
    inputs.push_back(tensors_[slot]);
  }
  return inputs;
}

}  // namespace redisai
