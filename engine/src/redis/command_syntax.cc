#include "redis/command_syntax.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace redisai::redis {
namespace {

constexpr std::string_view kRepeat = "…";
constexpr std::string_view kBrackets = "[]()";

// What a word stands for, in every command; all others are strings.
struct Word {
  enum Kind { kNumber, kCommandsOwnKey, kKey };
  std::string_view name;
  Kind kind;
  KeyUse use = kReadsKey;
};
constexpr Word kWords[] = {
    {"n", Word::kNumber},
    {"m", Word::kNumber},
    {"ms", Word::kNumber},
    {"bytes", Word::kNumber},
    {"dim", Word::kNumber},
    {"key", Word::kCommandsOwnKey},
    {"in", Word::kKey, kReadsKey},
    {"out", Word::kKey, kOverwritesKey},
    {"k", Word::kKey, kRoutesByKey},
};

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }

// Whether the caller sends it as it is.
bool IsToken(std::string_view symbol) { return std::none_of(symbol.begin(), symbol.end(), IsLower); }

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// Brackets are symbols of their own, with the repeat sign that may follow them; all else is parted by spaces.
std::vector<std::string_view> Split(std::string_view line) {
  std::vector<std::string_view> symbols;
  while (!line.empty()) {
    size_t size = 1;
    if (kBrackets.find(line[0]) != std::string_view::npos) {
      if (line.substr(1).starts_with(kRepeat)) size += kRepeat.size();
    } else {
      size = std::min(line.find_first_of(" []()"), line.size());
    }
    if (size > 0) symbols.push_back(line.substr(0, size));
    line.remove_prefix(std::max<size_t>(size, 1));
  }
  return symbols;
}

bool TakeRepeat(std::string_view& symbol) {
  if (!symbol.ends_with(kRepeat)) return false;
  symbol.remove_suffix(kRepeat.size());
  return true;
}

}  // namespace

CommandSyntax::CommandSyntax(std::string_view line, KeyUse use_of_key)
    : use_of_key_(use_of_key), symbols_(Split(line)) {
  Arguments arguments = ParseSequence();
  if (!AtEnd()) throw std::invalid_argument("unexpected " + std::string(symbols_[next_]));
  if (!arguments.empty()) arguments_ = Keep(std::move(arguments));
  key_specs_.emplace_back();
}

bool CommandSyntax::AtBoundary() const {
  return AtEnd() || symbols_[next_] == "|" || symbols_[next_][0] == ']' || symbols_[next_][0] == ')';
}

CommandArgument CommandSyntax::ParseGroup(std::string_view close) {
  Arguments choices;
  do {
    choices.push_back(Join(ParseSequence(), CommandArgument::kBlock));
  } while (!AtEnd() && symbols_[next_] == "|" && ++next_);
  CommandArgument group = Join(std::move(choices), CommandArgument::kOneOf);
  if (AtEnd()) throw std::invalid_argument("missing " + std::string(close));
  std::string_view symbol = Take();
  if (TakeRepeat(symbol)) {
    group.flags |= CommandArgument::kMultiple;
    if (group.token) group.flags |= CommandArgument::kMultipleToken;
  }
  if (symbol != close) throw std::invalid_argument("missing " + std::string(close));
  return group;
}

CommandSyntax::Arguments CommandSyntax::ParseSequence() {
  Arguments sequence;
  while (!AtBoundary()) sequence.push_back(ParseElement(sequence));
  return sequence;
}

CommandArgument CommandSyntax::ParseElement(const Arguments& before) {
  const std::string_view symbol = symbols_[next_];
  if (symbol == "(") return ++next_, ParseGroup(")");
  if (symbol == "[") {
    ++next_;
    CommandArgument group = ParseGroup("]");
    group.flags |= CommandArgument::kOptional;
    return group;
  }
  if (!IsToken(symbol)) return ParseWord({}, before);
  ++next_;
  if (!AtBoundary() && !IsToken(symbols_[next_])) return ParseWord(symbol, before);
  CommandArgument argument;
  argument.name = Keep(LowerCase(symbol));
  argument.type = CommandArgument::kPureToken;
  argument.key_spec = CommandArgument::kNoKeySpec;
  argument.token = Keep(std::string(symbol));
  return argument;
}

CommandArgument CommandSyntax::ParseWord(std::string_view token, const Arguments& before) {
  std::string_view name = Take();
  CommandArgument argument;
  if (TakeRepeat(name)) argument.flags |= CommandArgument::kMultiple;
  argument.name = Keep(std::string(name));
  argument.key_spec = CommandArgument::kNoKeySpec;
  if (!token.empty()) argument.token = Keep(std::string(token));
  const auto* word = std::ranges::find(kWords, name, &Word::name);
  if (word == std::end(kWords)) return argument;
  if (word->kind == Word::kNumber) {
    argument.type = CommandArgument::kInteger;
  } else {
    argument.type = CommandArgument::kKey;
    argument.key_spec = static_cast<int>(key_specs_.size());
    const KeyUse use = word->kind == Word::kCommandsOwnKey ? use_of_key_ : word->use;
    key_specs_.push_back(SpecOf(argument, use, before));
  }
  return argument;
}

// A first word is where it is. Others are behind a keyword, and a key that happens to bear the keyword's name
// would mislead the search, so that these specs are only hints: the server asks the command itself.
KeySpec CommandSyntax::SpecOf(const CommandArgument& key, KeyUse use, const Arguments& before) const {
  KeySpec spec;
  spec.flags = use;
  spec.begin = KeySpec::kBeginAtIndex;
  spec.index = {1};
  spec.find = KeySpec::kFindRange;
  spec.range = {.last_key = 0, .step = 1, .limit = 0};
  if (next_ == 1) return spec;

  spec.flags |= kSpecIncomplete;
  const bool multiple = key.flags & CommandArgument::kMultiple;
  const bool counted = !key.token && multiple && !before.empty() && before.back().token &&
                       before.back().type == CommandArgument::kInteger;
  spec.begin = KeySpec::kBeginAfterKeyword;
  const int start_from = key_specs_.empty() ? 1 : key_specs_[0].begin == KeySpec::kBeginAtIndex ? 2 : 1;
  spec.keyword = {counted ? before.back().token : key.token, start_from};
  if (counted) {
    spec.find = KeySpec::kFindCounted;
    spec.counted = {.count_at = 0, .first_key = 1, .step = 1};
  } else if (!key.token) {
    spec.begin = KeySpec::kBeginUnknown;
    spec.find = KeySpec::kFindUnknown;
  } else if (multiple && AtEnd()) {
    spec.range.last_key = -1;
  } else if (multiple) {
    spec.find = KeySpec::kFindUnknown;
  }
  return spec;
}

CommandArgument CommandSyntax::Join(Arguments parts, CommandArgument::Type type) {
  if (parts.empty()) throw std::invalid_argument("nothing between brackets");
  if (parts.size() == 1) return parts[0];
  CommandArgument whole;
  whole.name = parts[0].name;
  whole.type = type;
  whole.key_spec = CommandArgument::kNoKeySpec;
  whole.parts = Keep(std::move(parts));
  return whole;
}

CommandArgument* CommandSyntax::Keep(Arguments arguments) {
  arguments.emplace_back();
  return lists_.emplace_back(std::move(arguments)).data();
}

}  // namespace redisai::redis
