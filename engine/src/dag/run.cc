#include "dag/run.h"

#include <algorithm>
#include <utility>

#include "dag/work_run.h"

namespace redisai {

GraphRun::GraphRun(Graph graph)
    : graph_(std::move(graph)),
      tensors_(graph_.tensors()),
      missing_(tensors_.size()),
      chain_of_op_(graph_.ops().size()),
      run_outcomes_(graph_.ops().size()) {
  for (size_t index = 0; index < graph_.ops().size(); ++index) {
    const auto* op = std::get_if<RunOp>(&graph_.ops()[index]);
    if (!op) continue;
    auto chain = std::ranges::find(chains_, op->device(), &Chain::device);
    if (chain == chains_.end()) chain = chains_.insert(chain, Chain{op->device(), {}});
    chain->operations.push_back(index);
    chain_of_op_[index] = static_cast<size_t>(chain - chains_.begin());
    ++left_;
  }
}

std::optional<GraphRun::Ready> GraphRun::FindReady() const {
  std::optional<size_t> first;
  for (const Chain& chain : chains_) {
    const auto index = chain.Next();
    if (index && StateOfInputs(RunOpAt(*index)) == Inputs::kExist)
      first = std::min(*index, first.value_or(*index));
  }
  if (!first) return std::nullopt;
  Ready ready{*first, RunOpAt(*first), {}};
  ready.inputs.reserve(ready.op.inputs.size());
  for (const Slot slot : ready.op.inputs) ready.inputs.push_back(tensors_[slot]);
  return ready;
}

void GraphRun::Complete(size_t index, Result<std::vector<TensorRef>> outputs) {
  if (!outputs) {
    EndOperation(index, outputs.error());
    return EndUnreachable();
  }
  const RunOp& op = RunOpAt(index);
  for (size_t i = 0; i < outputs->size(); ++i) tensors_[op.outputs[i]] = std::move((*outputs)[i]);
  EndOperation(index, std::monostate{});
}

void GraphRun::EndOperation(size_t index, Outcome outcome) {
  if (!std::holds_alternative<std::monostate>(outcome)) {
    for (const Slot slot : RunOpAt(index).outputs) missing_[slot] = true;
  }
  run_outcomes_[index] = std::move(outcome);
  Chain& chain = ChainOf(index);
  chain.busy = false;
  ++chain.next;
  --left_;
}

void GraphRun::EndUnreachable() {
  bool again = true;
  while (again) {
    again = false;
    for (const Chain& chain : chains_) {
      const auto index = chain.Next();
      if (!index || StateOfInputs(RunOpAt(*index)) != Inputs::kMissing) continue;
      EndOperation(*index, NotAvailable{});
      again = true;  // others may need what this one does not make
    }
  }
}

void GraphRun::Finish() {
  while (const auto ready = FindReady()) {
    Complete(ready->index, RunWork(ready->op, ready->inputs));
  }
}

Outcome GraphRun::outcome(size_t index) const {
  const auto* get = std::get_if<GetOp>(&graph_.ops()[index]);
  if (!get) return run_outcomes_[index];
  const TensorRef& found = tensors_[get->slot];
  return found ? Outcome(found) : Outcome(NotAvailable{});
}

const Error* GraphRun::first_error() const {
  for (const Outcome& outcome : run_outcomes_) {
    if (const auto* error = std::get_if<Error>(&outcome)) return error;
  }
  return nullptr;
}

GraphRun::Inputs GraphRun::StateOfInputs(const RunOp& op) const {
  Inputs state = Inputs::kExist;
  for (const Slot slot : op.inputs) {
    if (missing_[slot]) return Inputs::kMissing;
    if (!tensors_[slot]) state = Inputs::kAwaited;
  }
  return state;
}

}  // namespace redisai
