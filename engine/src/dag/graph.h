// A graph of operations on tensors, its names resolved: what one AI.DAGEXECUTE or AI.MODELEXECUTE does.
//
// Each tensor the graph touches has a slot; an operation names slots, never keys or names. Assigning a name
// again takes a new slot, so that operations before it keep theirs.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.h"
#include "values/model.h"
#include "values/script.h"
#include "values/tensor.h"

namespace redisai {

using Slot = size_t;

// What AI.TENSORGET answers with.
struct TensorFormat {
  enum class Data : uint8_t { kNone, kBlob, kValues };
  bool meta = true;
  Data data = Data::kBlob;
};

// Its tensor is known before the graph runs.
struct SetOp {};
struct GetOp {
  Slot slot;
  TensorFormat format;
};
// One call of a script's function, and the server it speaks to.
struct ScriptWork {
  Script::Ref script;
  ScriptCall call;
  std::unique_ptr<ScriptHost> host;
};
// Work for a device: a run of a model or a call of a script.
struct RunOp {
  std::variant<Model::Ref, ScriptWork> work;
  std::vector<Slot> inputs;
  std::vector<Slot> outputs;

  const Device& device() const;
};
using Op = std::variant<SetOp, GetOp, RunOp>;

class Graph {
 public:
  // A tensor that exists before the graph runs.
  void Load(std::string_view name, TensorRef tensor);

  void AddSet(std::string_view name, TensorRef tensor);
  [[nodiscard]] std::optional<Error> AddGet(std::string_view name, TensorFormat format);
  // The number of inputs and outputs is held against the model's signature.
  [[nodiscard]] std::optional<Error> AddModel(Model::Ref model, std::span<const std::string_view> inputs,
                                              std::span<const std::string_view> outputs);

  // A function that the script lacks fails the operation when its turn comes.
  [[nodiscard]] std::optional<Error> AddScript(ScriptWork work, std::span<const std::string_view> inputs,
                                               std::span<const std::string_view> outputs);

  // The last version of `name`, or nothing.
  std::optional<Slot> Find(std::string_view name) const;

  const std::vector<Op>& ops() const { return ops_; }
  // The tensors known before the run, by slot; those that operations make are empty.
  const std::vector<TensorRef>& tensors() const { return tensors_; }

 private:
  Slot Assign(std::string_view name);
  std::optional<Error> AddRun(std::variant<Model::Ref, ScriptWork> work,
                              std::span<const std::string_view> inputs,
                              std::span<const std::string_view> outputs);

  std::vector<Op> ops_;
  std::vector<TensorRef> tensors_;
  std::unordered_map<std::string, Slot> slot_of_name_;
};

}  // namespace redisai
