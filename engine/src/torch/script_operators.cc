#include "torch/script_operators.h"

#include <torch/csrc/jit/runtime/operator.h>

#include <array>
#include <charconv>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/limits.h"
#include "torch/tensor_bridge.h"

namespace redisai::torch_backend {
namespace {

using torch::jit::Stack;

constexpr int kMaxDepth = 8;

thread_local const HostScope* current_scope = nullptr;

const HostScope& Scope(const char* what) {
  if (!current_scope || !current_scope->host()) {
    throw std::runtime_error(std::string(what) + " works only inside a script's own function");
  }
  return *current_scope;
}

// What a script may write between the parentheses of redis.execute, as the strings of a command.
class Arguments {
 public:
  void Append(const c10::IValue& value, int depth = 0) {
    // One list may be in another many times over, and hold nothing at all.
    if (++looked_at_ > kMaxLookedAt) throw std::runtime_error("redis.execute was given too many arguments");
    if (depth > kMaxValueDepth) throw std::runtime_error("redis.execute: values are nested too deeply");
    if (value.isString()) {
      texts_.push_back(value.toStringRef());
    } else if (value.isBool()) {
      texts_.emplace_back(value.toBool() ? "1" : "0");
    } else if (value.isInt()) {
      texts_.push_back(std::to_string(value.toInt()));
    } else if (value.isDouble()) {
      std::array<char, 32> text;
      const auto end = std::to_chars(text.begin(), text.end(), value.toDouble()).ptr;
      texts_.emplace_back(text.begin(), end);
    } else if (value.isList()) {
      for (const c10::IValue& element : value.toListRef()) Append(element, depth + 1);
    } else {
      throw std::runtime_error("redis.execute takes strings, numbers and lists of them, not " +
                               value.tagKind());
    }
  }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  static constexpr int kMaxLookedAt = 1 << 20;  // as many arguments as the server takes

  std::vector<std::string> texts_;
  int looked_at_ = 0;
};

c10::IValue ToTorch(const ScriptReply& reply);

struct ReplyToTorch {
  c10::IValue operator()(std::monostate) const { return {}; }
  c10::IValue operator()(int64_t number) const { return number; }
  c10::IValue operator()(double number) const { return number; }
  c10::IValue operator()(const std::string& text) const { return text; }
  c10::IValue operator()(const ScriptReply::List& replies) const {
    c10::impl::GenericList list(c10::AnyType::get());
    for (const ScriptReply& reply : replies) list.push_back(ToTorch(reply));
    return list;
  }
};

c10::IValue ToTorch(const ScriptReply& reply) { return std::visit(ReplyToTorch{}, reply.value); }

void Execute(Stack& stack) {
  const auto count = static_cast<size_t>(torch::jit::pop(stack).toInt());
  Arguments given;
  for (const c10::IValue& value : torch::jit::last(stack, count)) given.Append(value);
  const auto& arguments = given.texts();
  torch::jit::drop(stack, count);
  const auto reply = Scope("redis.execute").host()->Execute(arguments);
  if (!reply) {
    throw std::runtime_error("Redis command returned an error: " + reply.error().text);
  }
  stack.push_back(ToTorch(*reply));
}

void AsList(Stack& stack) {
  const c10::IValue value = torch::jit::pop(stack);
  if (!value.isList()) throw std::runtime_error("redis.asList takes a list, not " + value.tagKind());
  c10::impl::GenericList list(c10::AnyType::get());
  for (const c10::IValue& element : value.toListRef()) list.push_back(element);
  stack.emplace_back(std::move(list));
}

void ModelExecute(Stack& stack) {
  const int64_t output_count = torch::jit::pop(stack).toInt();
  const auto tensors = torch::jit::pop(stack).toTensorVector();
  const std::string key = torch::jit::pop(stack).toStringRef();
  const HostScope& scope = Scope("redisAI.model_execute");
  if (output_count < 0) throw std::runtime_error("redisAI.model_execute: a negative number of outputs");
  std::vector<TensorRef> inputs;
  for (const at::Tensor& tensor : tensors) {
    auto input = Copy(tensor);
    if (!input) throw std::runtime_error("redisAI.model_execute was given " + input.error().text);
    inputs.push_back(std::move(*input));
  }
  const auto outputs = [&] {
    const HostScope no_host(nullptr, scope.device());
    return scope.host()->ExecuteModel(key, inputs, static_cast<size_t>(output_count));
  }();
  if (!outputs) throw std::runtime_error("redisAI.model_execute: " + outputs.error().text);
  c10::List<at::Tensor> results;
  for (const TensorRef& output : *outputs) results.push_back(ScriptInput(output, scope.device()));
  stack.emplace_back(std::move(results));
}

}  // namespace

// CONSERVATIVE: the compiler must neither drop, merge nor reorder what speaks to the server.
void RegisterScriptOperators() {
  using torch::jit::Operator;
  using torch::jit::registerOperator;
  constexpr auto kConservative = c10::AliasAnalysisKind::CONSERVATIVE;
  registerOperator(Operator("redis::execute(str command, ...) -> Any", Execute, kConservative));
  registerOperator(Operator("redis::asList(Any reply) -> Any[]", AsList, kConservative));
  registerOperator(Operator("redisAI::model_execute(str key, Tensor[] inputs, int output_count) -> Tensor[]",
                            ModelExecute, kConservative));
}

HostScope::HostScope(ScriptHost* host, at::Device device)
    : host_(host),
      device_(device),
      outer_(current_scope),
      depth_(current_scope ? current_scope->depth_ + 1 : 1) {
  if (depth_ > kMaxDepth) throw std::runtime_error("scripts call each other too deeply");
  current_scope = this;
}

HostScope::~HostScope() { current_scope = outer_; }

}  // namespace redisai::torch_backend
