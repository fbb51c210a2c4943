// A value that is made of others is measured when it is made. One that exists already takes no lists,
// dictionaries, tuples or objects any more, as it may be in another that was measured before; so there are no
// circles either.

#include "torch/nesting.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/limits.h"

namespace redisai::torch_backend {
namespace {

using torch::jit::Node;
using torch::jit::Stack;
using torch::jit::Value;

// Whether values of this type may nest deeper than the type itself. `classes` are those that it is within.
bool MayNest(const c10::TypePtr& type, std::vector<const c10::Type*>& classes) {
  switch (type->kind()) {
    case c10::TypeKind::AnyType:
    case c10::TypeKind::AnyListType:
    case c10::TypeKind::AnyTupleType:
    case c10::TypeKind::AnyClassType:
    case c10::TypeKind::InterfaceType:
      return true;
    default:
      break;
  }
  const auto may_nest = [&](const c10::TypePtr& inner) { return MayNest(inner, classes); };
  if (const auto object = type->cast<c10::ClassType>()) {
    if (object->is_module()) return false;  // no program makes one
    if (std::ranges::find(classes, type.get()) != classes.end()) return true;
    classes.push_back(type.get());
    const auto attributes = object->containedTypes();
    const bool found = std::any_of(attributes.begin(), attributes.end(), may_nest);
    classes.pop_back();
    return found;
  }
  const auto inner = type->containedTypes();
  return std::any_of(inner.begin(), inner.end(), may_nest);
}

bool MayNest(const Value* value) {
  std::vector<const c10::Type*> classes;
  return MayNest(value->type(), classes);
}

bool HoldsOthers(const c10::IValue& value) {
  return value.isList() || value.isTuple() || value.isGenericDict() || value.isObject() || value.isFuture();
}

// The depth of values; each is looked at once however many hold it.
class Measure {
 public:
  int DepthOf(const c10::IValue& value, int level = 1) {
    if (!HoldsOthers(value)) return 0;
    if (level > kMaxValueDepth || value.isFuture()) throw std::runtime_error("values are nested too deeply");
    if (value.isObject() && value.toObjectRef().type()->is_module()) return 0;
    if (const auto known = depths_.find(value); known != depths_.end()) return known->second;
    const int depth = DeepestWithin(value, level + 1) + 1;
    if (depth > kMaxValueDepth) throw std::runtime_error("values are nested too deeply");
    depths_.emplace(value, depth);
    return depth;
  }

 private:
  int DeepestWithin(const c10::IValue& value, int level) {
    if (value.isList()) return Deepest(value.toListRef(), level);
    if (value.isTuple()) return Deepest(value.toTupleRef().elements(), level);
    if (value.isObject()) return Deepest(value.toObjectRef().slots(), level);
    int deepest = 0;
    for (const auto& entry : value.toGenericDict())
      deepest = std::max(deepest, DepthOf(entry.value(), level));
    return deepest;
  }
  template <typename Values>
  int Deepest(const Values& values, int level) {
    int deepest = 0;
    for (const c10::IValue& value : values) deepest = std::max(deepest, DepthOf(value, level));
    return deepest;
  }

  std::unordered_map<c10::IValue, int, c10::IValue::HashIdentityIValue, c10::IValue::CompIdentityIValues>
      depths_;
};

constexpr const char* kMade = "redisai_engine::check_made";
constexpr const char* kAdded = "redisai_engine::check_added";
constexpr const char* kAddedEach = "redisai_engine::check_added_each";

void RefuseIfItHoldsOthers(const c10::IValue& value) {
  if (HoldsOthers(value)) {
    throw std::runtime_error(
        "a list, tuple, dictionary or object is not added to a value of type Any that exists: make a new "
        "one, as in "
        "values + [value]");
  }
}

void CheckMade(Stack& stack) { Measure().DepthOf(torch::jit::pop(stack)); }

void CheckAdded(Stack& stack) { RefuseIfItHoldsOthers(torch::jit::pop(stack)); }

void CheckAddedEach(Stack& stack) {
  const c10::IValue values = torch::jit::pop(stack);
  if (values.isList()) {
    for (const c10::IValue& value : values.toListRef()) RefuseIfItHoldsOthers(value);
  } else if (values.isGenericDict()) {
    for (const auto& entry : values.toGenericDict()) RefuseIfItHoldsOthers(entry.value());
  } else {
    RefuseIfItHoldsOthers(values);
  }
}

Node* CheckOf(Node* node, const char* check, Value* value) {
  return node->owningGraph()->create(c10::Symbol::fromQualString(check), {value}, 0);
}

bool Makes(const Node* node) {
  return node->kind() == c10::prim::ListConstruct || node->kind() == c10::prim::TupleConstruct ||
         node->kind() == c10::prim::DictConstruct;
}

// Whether the operator puts its other arguments into the first.
bool AddsToFirst(const Node* node) {
  if (node->kind() == c10::prim::SetAttr) return true;
  const auto* schema = node->maybeSchema();
  if (!schema || schema->arguments().empty()) return false;
  const auto* alias = schema->arguments()[0].alias_info();
  return alias && alias->isWrite() && MayNest(node->input(0));
}

// Whether it adds what its argument holds rather than the argument.
bool AddsEach(const Node* node) {
  const std::string_view name = node->kind().toUnqualString();
  return name == "extend" || name == "add_" || name == "update";
}

void BoundNesting(torch::jit::Block* block) {
  const std::vector<Node*> nodes(block->nodes().begin(), block->nodes().end());
  for (Node* node : nodes) {
    for (torch::jit::Block* inner : node->blocks()) BoundNesting(inner);
    if (Makes(node)) {
      if (MayNest(node->output())) CheckOf(node, kMade, node->output())->insertAfter(node);
    } else if (AddsToFirst(node)) {
      for (Value* added : node->inputs().slice(1)) {
        if (MayNest(added)) CheckOf(node, AddsEach(node) ? kAddedEach : kAdded, added)->insertBefore(node);
      }
    }
  }
}

}  // namespace

// CONSERVATIVE: the compiler must not drop them.
void RegisterNestingOperators() {
  using torch::jit::Operator;
  using torch::jit::registerOperator;
  constexpr auto kConservative = c10::AliasAnalysisKind::CONSERVATIVE;
  registerOperator(Operator(std::string(kMade) + "(Any value) -> ()", CheckMade, kConservative));
  registerOperator(Operator(std::string(kAdded) + "(Any value) -> ()", CheckAdded, kConservative));
  registerOperator(Operator(std::string(kAddedEach) + "(Any values) -> ()", CheckAddedEach, kConservative));
}

void BoundNesting(torch::jit::CompilationUnit& unit) {
  for (torch::jit::Function* function : unit.get_functions()) {
    if (function->isGraphFunction()) {
      BoundNesting(torch::jit::toGraphFunction(*function).graph()->block());
    }
  }
}

}  // namespace redisai::torch_backend
