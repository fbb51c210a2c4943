// Loading and running one TorchScript module.

#include "torch/program.h"

#include <c10/core/InferenceMode.h>
#include <caffe2/serialize/in_memory_adapter.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/script.h>

#include <algorithm>
#include <stdexcept>

#include "torch/archive_check.h"
#include "torch/device_scope.h"
#include "torch/guard.h"
#include "torch/nesting.h"
#include "torch/tensor_bridge.h"

namespace redisai::torch_backend {
namespace {

using torch::jit::Module;

std::optional<size_t> CountOutputs(const c10::FunctionSchema& schema) {
  if (schema.returns().size() != 1) return std::nullopt;
  const c10::TypePtr& type = schema.returns()[0].type();
  if (type->kind() == c10::TypeKind::TensorType) return 1;
  if (const auto tuple = type->cast<c10::TupleType>()) return tuple->elements().size();
  return std::nullopt;
}

// A frozen module has no parameters any more, they are constants of its graph; so this asks the module as
// loaded.
size_t CountBytes(const Module& module) {
  size_t size_bytes = 0;
  for (const at::Tensor& parameter : module.parameters()) size_bytes += parameter.nbytes();
  for (const at::Tensor& buffer : module.buffers()) size_bytes += buffer.nbytes();
  return size_bytes;
}

bool HasConvolution(const torch::jit::Block& block) {
  return std::ranges::any_of(block.nodes(), [](const torch::jit::Node* node) {
    return std::string_view(node->kind().toUnqualString()).find("conv") != std::string_view::npos ||
           std::ranges::any_of(node->blocks(), [](const auto* inner) { return HasConvolution(*inner); });
  });
}

// optimize_for_inference puts convolutions into oneDNN's layout, and each linear layer into a product and a
// sum. Measured on one core, interleaved, against freezing alone: a small image network takes 0.55 of the
// time from 8 images on; the feed-forward encoder takes the same up to 64 rows, and 1.4 times as long at
// 1,024.
Module Optimize(Module module) {
  module.eval();
  module = torch::jit::freeze(module);
  const auto graph = module.get_method("forward").graph();
  return HasConvolution(*graph->block()) ? torch::jit::optimize_for_inference(module) : module;
}

bool WritesInputs(const Module& module) {
  const auto graph = module.get_method("forward").graph();
  const torch::jit::AliasDb aliases(graph);
  return std::any_of(graph->inputs().begin(), graph->inputs().end(), [&](const torch::jit::Value* input) {
    return input->type()->kind() == c10::TypeKind::TensorType && aliases.hasWriters(input);
  });
}

bool IsScalar(const c10::Type& type) {
  return type.kind() == c10::TypeKind::IntType || type.kind() == c10::TypeKind::FloatType ||
         type.kind() == c10::TypeKind::BoolType || type.kind() == c10::TypeKind::NumberType;
}

// The type behind Optional[…].
const c10::Type& Plain(const c10::Type& type) {
  if (type.kind() != c10::TypeKind::OptionalType) return type;
  return *type.expectRef<c10::OptionalType>().getElementType();
}

// Why a model cannot be run: an input is a tensor, and a parameter may be a number, which a tensor of one
// element gives.
std::optional<Error> CheckParameters(const c10::FunctionSchema& schema) {
  for (const c10::Argument& argument : c10::ArrayRef<c10::Argument>(schema.arguments()).slice(1)) {
    const c10::Type& type = Plain(*argument.type());
    if (type.kind() == c10::TypeKind::TensorType || IsScalar(type) || argument.default_value()) continue;
    return Error{"the parameter " + argument.name() + " of forward is " + argument.type()->str() +
                 ", where this engine gives tensors, and numbers of one-element tensors"};
  }
  return std::nullopt;
}

// The number for a parameter that is one; nothing where it is a tensor.
std::optional<c10::IValue> ToScalar(const c10::Type& type, const at::Tensor& tensor) {
  const c10::Type& plain = Plain(type);
  if (!IsScalar(plain)) return std::nullopt;
  TORCH_CHECK(tensor.numel() == 1, "a number wants a tensor of one element, and this has ", tensor.numel());
  const c10::Scalar number = tensor.item();
  if (plain.kind() == c10::TypeKind::FloatType) return c10::IValue(number.toDouble());
  if (plain.kind() == c10::TypeKind::BoolType) return c10::IValue(number.toBool());
  if (plain.kind() == c10::TypeKind::NumberType) return c10::IValue(number);
  TORCH_CHECK(!number.isFloatingPoint() || number.toDouble() == static_cast<double>(number.toLong()),
              "an int wants a whole number");
  return c10::IValue(number.toLong());
}

// The values of a graph that outlive a run, and those that an operator writes to.
struct StateAndWrites {
  std::vector<const torch::jit::Value*> state;
  std::vector<const torch::jit::Value*> written;
  bool sets_attribute = false;
};

void Collect(const torch::jit::Block& block, StateAndWrites& found) {
  for (const torch::jit::Node* node : block.nodes()) {
    if (node->kind() == c10::prim::SetAttr) {
      // An object that a run makes is its own; what is a module's outlives the run.
      const auto type = node->input(0)->type()->cast<c10::ClassType>();
      found.sets_attribute |= !type || type->is_module();
    }
    if (node->kind() == c10::prim::Constant || node->kind() == c10::prim::GetAttr) {
      found.state.insert(found.state.end(), node->outputs().begin(), node->outputs().end());
    }
    if (const auto* schema = node->maybeSchema()) {
      const size_t count = std::min(schema->arguments().size(), node->inputs().size());
      for (size_t i = 0; i < count; ++i) {
        const auto* alias = schema->arguments()[i].alias_info();
        if (alias && alias->isWrite()) found.written.push_back(node->input(i));
      }
    }
    for (const auto* inner : node->blocks()) Collect(*inner, found);
  }
}

// Whether a run may change what a later run sees. Freezing has made constants of all that it saw no writer
// of; where the analysis of aliases cannot tell, it says that there may be one.
bool WritesState(const Module& frozen) {
  const auto graph = frozen.get_method("forward").graph();
  StateAndWrites found;
  Collect(*graph->block(), found);
  if (found.sets_attribute) return true;
  const torch::jit::AliasDb aliases(graph);
  return std::ranges::any_of(found.state, [&](const torch::jit::Value* state) {
    if (aliases.hasWriters(state)) return true;
    return std::ranges::any_of(found.written, [&](const torch::jit::Value* written) {
      // mayContainAlias takes no const pointers, and changes nothing.
      return aliases.mayContainAlias(const_cast<torch::jit::Value*>(state),
                                     const_cast<torch::jit::Value*>(written));
    });
  });
}

class TorchProgram final : public Program {
 public:
  TorchProgram(Blob::Ref blob, at::Device device, const Module& loaded)
      : blob_(std::move(blob)), device_(device), parameter_bytes_(CountBytes(loaded)) {
    const auto& schema = loaded.get_method("forward").function().getSchema();
    output_count_ = CountOutputs(schema);
    for (const c10::Argument& argument :
         c10::ArrayRef<c10::Argument>(schema.arguments()).slice(1)) {  // without `self`
      input_names_.push_back(argument.name());
      input_types_.push_back(argument.type());
      if (!argument.default_value()) required_input_count_ = input_names_.size();
    }
    module_ = Optimize(loaded);
    if (WritesState(module_)) {
      throw std::runtime_error(
          "the model may change its own parameters, buffers or attributes, and runs share them: take the "
          "state "
          "as an input and return it as an output");
    }
    writes_inputs_ = WritesInputs(module_);
  }

  Result<std::vector<TensorRef>> Run(std::span<const TensorRef> inputs) const override {
    return Catching("the model failed", [&]() -> Result<std::vector<TensorRef>> {
      const c10::InferenceMode inference_mode;
      const DeviceScope device_scope(device_);
      std::vector<c10::IValue> arguments;
      arguments.reserve(inputs.size());
      for (const TensorRef& input : inputs) {
        at::Tensor argument = View(input);
        if (device_.is_cuda()) {
          argument = argument.to(device_);
        } else if (writes_inputs_) {
          argument = argument.clone();
        }
        const size_t index = arguments.size();
        const auto scalar =
            index < input_types_.size() ? ToScalar(*input_types_[index], argument) : std::nullopt;
        arguments.push_back(scalar ? *scalar : c10::IValue(std::move(argument)));
      }
      return CopyAll(module_.forward(std::move(arguments)), "the model");
    });
  }

  const std::vector<std::string>& input_names() const override { return input_names_; }
  size_t required_input_count() const override { return required_input_count_; }
  std::optional<size_t> output_count() const override { return output_count_; }
  size_t parameter_bytes() const override { return parameter_bytes_; }
  const Blob::Ref& blob() const override { return blob_; }

 private:
  const Blob::Ref blob_;
  const at::Device device_;
  const size_t parameter_bytes_;
  // forward() is not const in libtorch's interface, though it changes nothing of a frozen module.
  mutable Module module_;
  std::vector<std::string> input_names_;
  std::vector<c10::TypePtr> input_types_;
  size_t required_input_count_ = 0;
  std::optional<size_t> output_count_;
  // Inputs are views of immutable memory that keys share; a graph that may write to them gets copies.
  bool writes_inputs_ = true;
};

}  // namespace

Result<Program::Ref> MakeProgram(const Blob::Ref& blob, const Device& device) {
  return Catching(
      "the model cannot be loaded",
      [&]() -> Result<Program::Ref> {
        if (const auto error = CheckKind(blob->view()))
          return Error{"the model cannot be loaded: " + error->text};
        const c10::InferenceMode inference_mode;
        const at::Device torch_device = ToTorch(device);
        const auto archive = std::make_shared<caffe2::serialize::MemoryReadAdapter>(
            blob->view().data(), static_cast<off_t>(blob->view().size()));
        if (const auto error = CheckArchive(archive))
          return Error{"the model cannot be loaded: " + error->text};
        const Module loaded = torch::jit::load(archive, torch_device, /*load_debug_files=*/false);
        BoundNesting(*loaded._ivalue()->compilation_unit());
        if (auto error = CheckParameters(loaded.get_method("forward").function().getSchema())) return *error;
        return Program::Ref(std::make_shared<TorchProgram>(blob, torch_device, loaded));
      },
      Wording::kTorchFirst);
}

}  // namespace redisai::torch_backend
