// Compiling and running one script.

#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/frontend/resolver.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "torch/device_scope.h"
#include "torch/engine.h"
#include "torch/guard.h"
#include "torch/nesting.h"
#include "torch/script_operators.h"
#include "torch/source_limits.h"
#include "torch/tensor_bridge.h"

namespace redisai::torch_backend {
namespace {

using torch::jit::BuiltinModule;
using torch::jit::GraphFunction;
using torch::jit::SourceRange;
using torch::jit::SugaredValue;

// `torch` of a script: operators, and dtypes, which TorchScript counts as integers.
class TorchNames final : public BuiltinModule {
 public:
  TorchNames() : BuiltinModule("aten") {}

  std::shared_ptr<SugaredValue> attr(const SourceRange& range, GraphFunction& function,
                                     const std::string& field) override {
    static const std::unordered_map<std::string, at::ScalarType> kDtypes = {
        {"float16", at::kHalf},   {"bfloat16", at::kBFloat16}, {"float32", at::kFloat},
        {"float64", at::kDouble}, {"int8", at::kChar},         {"int16", at::kShort},
        {"int32", at::kInt},      {"int64", at::kLong},        {"uint8", at::kByte},
        {"bool", at::kBool},      {"half", at::kHalf},         {"float", at::kFloat},
        {"double", at::kDouble},  {"short", at::kShort},       {"int", at::kInt},
        {"long", at::kLong}};
    const auto dtype = kDtypes.find(field);
    if (dtype == kDtypes.end()) return BuiltinModule::attr(range, function, field);
    return std::make_shared<torch::jit::SimpleValue>(
        function.graph()->insertConstant(static_cast<int64_t>(dtype->second), range));
  }
};

// What a script can name beside its own functions.
struct ScriptNames final : torch::jit::Resolver {
  std::shared_ptr<SugaredValue> resolveValue(const std::string& name, GraphFunction&,
                                             const SourceRange&) override {
    if (name == "torch") return std::make_shared<TorchNames>();
    if (name == "redis" || name == "redisAI") return std::make_shared<BuiltinModule>(name);
    return nullptr;
  }
};

using Parameters = std::vector<c10::Argument>;

bool IsListOf(const c10::TypePtr& type, c10::TypeKind element) {
  const auto list = type->cast<c10::ListType>();
  return list && list->getElementType()->kind() == element;
}

std::optional<Error> CheckEntryPoint(const torch::jit::CompilationUnit& unit, const std::string& name) {
  const torch::jit::Function* function = unit.find_function(name);
  if (!function) return Error{"Function " + OneLine(name) + " does not exist in the given script."};
  const Parameters& parameters = function->getSchema().arguments();
  if (parameters.size() != 3) {
    return Error{"Wrong number of inputs in function " + name + ". Expected 3 but was " +
                 std::to_string(parameters.size())};
  }
  constexpr std::array kElements = {c10::TypeKind::TensorType, c10::TypeKind::StringType,
                                    c10::TypeKind::StringType};
  for (size_t i = 0; i < kElements.size(); ++i) {
    if (!IsListOf(parameters[i].type(), kElements[i])) {
      return Error{"Wrong inputs type in function " + name + ". Expected signature similar to: def " + name +
                   "(tensors: List[Tensor], keys: List[str], args: List[str])"};
    }
  }
  return std::nullopt;
}

c10::List<std::string> ToList(const std::vector<std::string>& texts) {
  c10::List<std::string> list;
  for (const std::string& text : texts) list.push_back(text);
  return list;
}

class TorchScript final : public ScriptProgram {
 public:
  TorchScript(std::unique_ptr<torch::jit::CompilationUnit> unit, const ScriptOptions& options)
      : unit_(std::move(unit)), device_(ToTorch(options.device)), entry_points_(options.entry_points) {}

  bool Has(const std::string& function) const override {
    // The lookup throws where the name could not be any function's.
    const auto found =
        Catching("", [&]() -> Result<bool> { return unit_->find_function(function) != nullptr; });
    return found && *found;
  }

  Result<std::vector<TensorRef>> Run(const ScriptCall& call, std::span<const TensorRef> inputs,
                                     ScriptHost& host) const override {
    return Catching("the script failed", [&]() -> Result<std::vector<TensorRef>> {
      const c10::InferenceMode inference_mode;
      const DeviceScope device_scope(device_);
      const HostScope scope(&host, device_);
      torch::jit::Function& function = unit_->get_function(call.function);
      const bool is_entry_point =
          std::find(entry_points_.begin(), entry_points_.end(), call.function) != entry_points_.end();
      torch::jit::Stack stack;
      if (is_entry_point) {
        stack = {Tensors(inputs), ToList(call.keys), ToList(call.arguments)};
      } else {
        stack = Positional(function.getSchema().arguments(), inputs, call.list_from);
      }
      return CopyAll(function(std::move(stack)), "the script");
    });
  }

 private:
  // Scripts may write to what they are given, and our tensors are immutable: they get copies.
  c10::List<at::Tensor> Tensors(std::span<const TensorRef> inputs) const {
    c10::List<at::Tensor> list;
    for (const TensorRef& input : inputs) list.push_back(ScriptInput(input, device_));
    return list;
  }

  // A tensor for each parameter, and one list: from where the caller says or, where nothing is said, for a
  // last parameter that is one.
  torch::jit::Stack Positional(const Parameters& parameters, std::span<const TensorRef> inputs,
                               std::optional<size_t> list_from) const {
    if (!list_from && !parameters.empty() && inputs.size() + 1 >= parameters.size() &&
        IsListOf(parameters.back().type(), c10::TypeKind::TensorType)) {
      list_from = parameters.size() - 1;
    }
    torch::jit::Stack stack;
    for (const TensorRef& input : inputs.first(list_from.value_or(inputs.size()))) {
      stack.emplace_back(ScriptInput(input, device_));
    }
    if (list_from) stack.emplace_back(Tensors(inputs.subspan(*list_from)));
    return stack;
  }

  const std::unique_ptr<torch::jit::CompilationUnit> unit_;
  const at::Device device_;
  const std::vector<std::string> entry_points_;
};

}  // namespace

Result<ScriptProgram::Ref> Compile(std::string_view source, const ScriptOptions& options) {
  if (const auto usable = CheckDevice(options.device); !usable) return usable.error();
  if (auto error = CheckSource(source)) return *error;
  MarkInUse();
  return Catching(
      "the script cannot be compiled",
      [&]() -> Result<ScriptProgram::Ref> {
        auto unit = std::make_unique<torch::jit::CompilationUnit>();
        // The parser wants each line ended.
        unit->define(std::nullopt, std::string(source) + '\n', std::make_shared<ScriptNames>(),
                     /*self=*/nullptr);
        BoundNesting(*unit);
        for (const std::string& name : options.entry_points) {
          if (auto error = CheckEntryPoint(*unit, name)) return *error;
        }
        return ScriptProgram::Ref(std::make_shared<TorchScript>(std::move(unit), options));
      },
      Wording::kTorchFirst);
}

}  // namespace redisai::torch_backend
