// Follows a pickle as libtorch's unpickler does, for the shapes of values alone. Whatever it does not know is
// refused, so that the two cannot come apart: TorchScript writes few of pickle's operations.

#include "torch/pickle_check.h"

#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/text.h"

namespace redisai::torch_backend {
namespace {

// Modules in modules take two levels each. As for source: a thousand fit a thread's usual stack of 8 MiB.
constexpr int kMaxDepth = 1000;
// The tuple that names a storage has five elements, the longest whose elements matter.
constexpr size_t kMaxElementsKept = 5;

struct Container;

struct Value {
  enum Kind { kOther, kNumber, kText, kGlobal, kContainer } kind = kOther;
  int64_t number = 0;
  std::string_view text;  // of a global, its module and name with a line break between
  std::shared_ptr<Container> container;
};

struct Container {
  int depth = 1;
  bool held = false;            // by another container, and not to change any more
  std::vector<Value> elements;  // of a short tuple
};

struct Refusal {
  std::string text;
};

std::optional<size_t> ElementSize(std::string_view global) {
  static const auto* sizes = [] {
    auto* by_name = new std::unordered_map<std::string, size_t>();
    for (int i = 0; i < static_cast<int>(c10::ScalarType::NumOptions); ++i) {
      const auto type = static_cast<c10::ScalarType>(i);
      if (type == c10::ScalarType::Undefined) continue;
      by_name->emplace(std::string("torch\n") + c10::toString(type) + "Storage", c10::elementSize(type));
    }
    return by_name;
  }();
  const auto found = sizes->find(std::string(global));
  return found == sizes->end() ? std::nullopt : std::optional(found->second);
}

class PickleReader {
 public:
  PickleReader(std::string_view pickle, const StorageSize& storage_size)
      : left_(pickle), memo_limit_(pickle.size()), storage_size_(storage_size) {}

  void Read() {
    Require(Take(2) == "\x80\x02", "not a pickle of protocol 2");
    while (Step()) {
    }
  }

 private:
  static void Require(bool condition, const char* otherwise) {
    if (!condition) throw Refusal{otherwise};
  }

  std::string_view Take(size_t size) {
    Require(size <= left_.size(), "the pickle ends too early");
    const auto taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }

  template <typename Number>
  Number TakeNumber() {
    Number number;
    std::memcpy(&number, Take(sizeof(number)).data(), sizeof(number));
    return number;
  }

  void Push(Value value) { stack_.push_back(std::move(value)); }
  void PushNumber(int64_t number) { Push({Value::kNumber, number, {}, {}}); }
  void PushText(std::string_view text) { Push({Value::kText, 0, text, {}}); }

  Value Pop() {
    Require(stack_.size() > (marks_.empty() ? 0 : marks_.back()), "a value is missing");
    Value value = std::move(stack_.back());
    stack_.pop_back();
    return value;
  }

  // What was pushed since the last mark.
  std::vector<Value> PopMarked() {
    Require(!marks_.empty(), "a mark is missing");
    std::vector<Value> values(std::make_move_iterator(stack_.begin() + static_cast<ptrdiff_t>(marks_.back())),
                              std::make_move_iterator(stack_.end()));
    stack_.resize(marks_.back());
    marks_.pop_back();
    return values;
  }
  std::vector<Value> PopSome(size_t count) {
    std::vector<Value> values(count);
    for (size_t i = count; i > 0; --i) values[i - 1] = Pop();
    return values;
  }

  static void Hold(Container& container, std::vector<Value>& values) {
    Require(!container.held, "a value changes after it was put into another");
    for (Value& value : values) {
      if (!value.container) continue;
      Require(value.container.get() != &container, "a value holds itself");
      value.container->held = true;
      container.depth = std::max(container.depth, value.container->depth + 1);
    }
    Require(container.depth <= kMaxDepth, "values are nested too deeply");
  }

  void PushContainer(std::vector<Value> values, bool is_tuple) {
    auto container = std::make_shared<Container>();
    Hold(*container, values);
    if (is_tuple && values.size() <= kMaxElementsKept) container->elements = std::move(values);
    Push({Value::kContainer, 0, {}, std::move(container)});
  }

  void AddToTop(std::vector<Value> values) {
    Require(!stack_.empty() && stack_.back().container, "there is nothing to add to");
    // A tuple that grew would not be what its elements say.
    Require(stack_.back().container->elements.empty(), "a tuple changes");
    Hold(*stack_.back().container, values);
  }

  void PushGlobal() {
    const size_t first = left_.find('\n');
    const size_t second = first == std::string_view::npos ? first : left_.find('\n', first + 1);
    Require(second != std::string_view::npos, "the pickle ends too early");
    const auto name = Take(second + 1).substr(0, second);
    // For this one libtorch leaves out what follows.
    Require(name.find("_rebuild_from_type_v2") == std::string_view::npos, "a tensor of a type of its own");
    Push({Value::kGlobal, 0, name, {}});
  }

  void Remember(size_t number) {
    Require(number < memo_limit_, "a value is remembered under too large a number");
    Require(!stack_.empty(), "a value is missing");
    memo_[number] = stack_.back();
  }
  void Recall(size_t number) {
    const auto found = memo_.find(number);
    Require(found != memo_.end(), "a value was not remembered");
    Push(found->second);
  }

  // ("storage", type, key, device, number of elements)
  void CheckStorage() {
    const Value tuple = Pop();
    Require(tuple.container && tuple.container->elements.size() == 5, "a storage is not named as one");
    const auto& elements = tuple.container->elements;
    Require(elements[0].kind == Value::kText && elements[0].text == "storage",
            "a storage is not named as one");
    Require(elements[1].kind == Value::kGlobal && elements[2].kind == Value::kText &&
                elements[4].kind == Value::kNumber,
            "a storage is not named as one");
    const auto element_size = ElementSize(elements[1].text);
    Require(element_size.has_value(), "a storage of an unknown type");
    Require(elements[4].number >= 0, "a storage of negative size");
    if (elements[4].number > 0) {
      const std::string key(elements[2].text);
      size_t size_bytes = 0;
      if (__builtin_mul_overflow(static_cast<size_t>(elements[4].number), *element_size, &size_bytes) ||
          size_bytes > storage_size_(key)) {
        throw Refusal{"the data of tensor " + OneLine(key) + " is shorter than it is said to be"};
      }
    }
    Push({});
  }

  // One operation; false at the end.
  bool Step() {
    const char operation = Take(1)[0];
    switch (operation) {
      case '.':
        return false;
      case '(':
        marks_.push_back(stack_.size());
        break;
      case 'N':
      case '\x88':
      case '\x89':
        Push({});
        break;
      case 'G':
        Take(8);
        Push({});
        break;
      case 'K':
        PushNumber(TakeNumber<uint8_t>());
        break;
      case 'M':
        PushNumber(TakeNumber<uint16_t>());
        break;
      case 'J':
        PushNumber(TakeNumber<int32_t>());
        break;
      case '\x8a':
        Require(TakeNumber<uint8_t>() == 8, "a number of unusual length");
        PushNumber(TakeNumber<int64_t>());
        break;
      case 'X':
        PushText(Take(TakeNumber<uint32_t>()));
        break;
      case '\x8d':
        PushText(Take(TakeNumber<uint64_t>()));
        break;
      case 'c':
        PushGlobal();
        break;
      default:
        return Build(operation);
    }
    return true;
  }

  // The operations that make values of others.
  bool Build(char operation) {
    switch (operation) {
      case ')':
        PushContainer({}, true);
        break;
      case ']':
      case '}':
        PushContainer({}, false);
        break;
      case '\x85':
      case '\x86':
      case '\x87':
        PushContainer(PopSome(static_cast<size_t>(operation - '\x84')), true);
        break;
      case 't':
        PushContainer(PopMarked(), true);
        break;
      case 'l':
      case 'd':
        PushContainer(PopMarked(), false);
        break;
      case 'a':
        AddToTop(PopSome(1));
        break;
      case 's':
        AddToTop(PopSome(2));
        break;
      case 'e':
      case 'u':
        AddToTop(PopMarked());
        break;
      case 'R':
      case '\x81':
      case 'b':
        PushContainer(PopSome(2), false);
        break;
      case 'Q':
        CheckStorage();
        break;
      case 'q':
        Remember(TakeNumber<uint8_t>());
        break;
      case 'r':
        Remember(TakeNumber<uint32_t>());
        break;
      case 'h':
        Recall(TakeNumber<uint8_t>());
        break;
      case 'j':
        Recall(TakeNumber<uint32_t>());
        break;
      default:
        throw Refusal{"an operation that TorchScript does not write"};
    }
    return true;
  }

  std::string_view left_;
  const size_t memo_limit_;  // each value that is remembered takes more than a byte
  const StorageSize& storage_size_;
  std::vector<Value> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<size_t, Value> memo_;
};

}  // namespace

std::optional<Error> CheckPickle(std::string_view pickle, const StorageSize& storage_size) {
  try {
    PickleReader(pickle, storage_size).Read();
  } catch (const Refusal& refusal) {
    return Error{refusal.text};
  }
  return std::nullopt;
}

}  // namespace redisai::torch_backend
