#include "dag/graph.h"

#include <utility>

namespace redisai {

const Device& RunOp::device() const {
  if (const auto* model = std::get_if<Model::Ref>(&work)) return (*model)->options().device;
  return std::get<ScriptWork>(work).script->options().device;
}

Slot Graph::Assign(std::string_view name) {
  const Slot slot = tensors_.size();
  tensors_.emplace_back();
  slot_of_name_[std::string(name)] = slot;
  return slot;
}

std::optional<Slot> Graph::Find(std::string_view name) const {
  const auto found = slot_of_name_.find(std::string(name));
  if (found == slot_of_name_.end()) return std::nullopt;
  return found->second;
}

void Graph::Load(std::string_view name, TensorRef tensor) { tensors_[Assign(name)] = std::move(tensor); }

void Graph::AddSet(std::string_view name, TensorRef tensor) {
  Load(name, std::move(tensor));
  ops_.push_back(SetOp{});
}

std::optional<Error> Graph::AddGet(std::string_view name, TensorFormat format) {
  const auto slot = Find(name);
  if (!slot) return Error{"INPUT key cannot be found in DAG"};
  ops_.push_back(GetOp{*slot, format});
  return std::nullopt;
}

std::optional<Error> Graph::AddModel(Model::Ref model, std::span<const std::string_view> inputs,
                                     std::span<const std::string_view> outputs) {
  if (const auto& program = model->program()) {
    if (inputs.size() < (*program)->required_input_count() ||
        inputs.size() > (*program)->input_names().size()) {
      return Error{"Number of keys given as INPUTS here does not match model definition"};
    }
    if (const auto count = (*program)->output_count(); count && *count != outputs.size()) {
      return Error{"Number of keys given as OUTPUTS here does not match model definition"};
    }
  }
  return AddRun(std::move(model), inputs, outputs);
}

std::optional<Error> Graph::AddScript(ScriptWork work, std::span<const std::string_view> inputs,
                                      std::span<const std::string_view> outputs) {
  return AddRun(std::move(work), inputs, outputs);
}

std::optional<Error> Graph::AddRun(std::variant<Model::Ref, ScriptWork> work,
                                   std::span<const std::string_view> inputs,
                                   std::span<const std::string_view> outputs) {
  RunOp op{std::move(work), {}, {}};
  for (const auto name : inputs) {
    const auto slot = Find(name);
    if (!slot) return Error{"INPUT key cannot be found in DAG"};
    op.inputs.push_back(*slot);
  }
  // After the inputs: an operation may read a name and assign it anew.
  for (const auto name : outputs) op.outputs.push_back(Assign(name));
  ops_.push_back(std::move(op));
  return std::nullopt;
}

}  // namespace redisai
