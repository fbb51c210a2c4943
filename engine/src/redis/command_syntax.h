// A command's arguments, from the one line that documents them, as the server wants them described: the same
// line stands in docs/engine.md and gives redis-cli its hints.
//
//   key type dim… [BLOB data | VALUES v…]
//
// Words in capitals, and signs such as |>, are sent as they are; the others stand for what the caller sends.
// […] may be left out, | separates choices, (…) groups, and … after a word or a group repeats it. What a word
// stands for, a key above all, goes by its name; see kWords.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "redis/api.h"
#include "redis/command_info.h"

namespace redisai::redis {

class CommandSyntax {
 public:
  // `use_of_key` is what the command does with the word `key`. Throws std::invalid_argument for a line that
  // cannot be read.
  CommandSyntax(std::string_view line, KeyUse use_of_key);
  CommandSyntax(const CommandSyntax&) = delete;
  CommandSyntax& operator=(const CommandSyntax&) = delete;

  // Both end with a zeroed entry, are null when empty, and live as long as this.
  CommandArgument* arguments() { return arguments_; }
  KeySpec* key_specs() { return key_specs_.size() > 1 ? key_specs_.data() : nullptr; }

 private:
  using Arguments = std::vector<CommandArgument>;

  bool AtEnd() const { return next_ == symbols_.size(); }
  // Whether the next symbol is one that ends a sequence.
  bool AtBoundary() const;
  std::string_view Take() { return symbols_[next_++]; }

  // Choices separated by |; one argument, whatever they hold.
  CommandArgument ParseGroup(std::string_view close);
  Arguments ParseSequence();
  CommandArgument ParseElement(const Arguments& before);
  CommandArgument ParseWord(std::string_view token, const Arguments& before);
  KeySpec SpecOf(const CommandArgument& key, KeyUse use, const Arguments& before) const;

  // One argument of several.
  CommandArgument Join(Arguments parts, CommandArgument::Type type);
  CommandArgument* Keep(Arguments arguments);
  const char* Keep(std::string text) { return texts_.emplace_back(std::move(text)).c_str(); }

  const KeyUse use_of_key_;
  std::vector<std::string_view> symbols_;
  size_t next_ = 0;
  std::deque<std::string> texts_;
  std::deque<Arguments> lists_;
  std::vector<KeySpec> key_specs_;
  CommandArgument* arguments_ = nullptr;
};

}  // namespace redisai::redis
