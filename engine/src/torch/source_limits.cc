#include "torch/source_limits.h"

#include <array>
#include <cctype>

namespace redisai::torch_backend {
namespace {

// A thousand of either was compiled, run and freed within a thread's usual stack of 8 MiB.
constexpr int kMaxTokensInStatement = 1000;
constexpr int kMaxBranches = 1000;

bool IsBranch(std::string_view word) {
  constexpr std::array<std::string_view, 6> kBranches = {"if", "elif", "for", "while", "with", "try"};
  for (const auto branch : kBranches) {
    if (word == branch) return true;
  }
  return false;
}

bool IsWordCharacter(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// The length of the string literal that begins `text`.
size_t LiteralLength(std::string_view text) {
  const std::string_view triple = text.substr(0, 3);
  const bool is_triple = triple == "\"\"\"" || triple == "'''";
  const std::string_view quote = text.substr(0, is_triple ? 3 : 1);
  for (size_t i = quote.size(); i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text.substr(i, quote.size()) == quote) {
      return i + quote.size();
    }
  }
  return text.size();
}

}  // namespace

std::optional<Error> CheckSource(std::string_view source) {
  int open_brackets = 0;
  int tokens = 0;  // of this statement; numbers, commas and literals do not nest
  int branches = 0;
  for (size_t i = 0; i < source.size();) {
    const char c = source[i];
    size_t length = 1;
    if (c == '#') {
      length = source.substr(i).find('\n');
      if (length == std::string_view::npos) break;
    } else if (c == '"' || c == '\'') {
      length = LiteralLength(source.substr(i));
    } else if (IsWordCharacter(c)) {
      while (i + length < source.size() && IsWordCharacter(source[i + length])) ++length;
      branches += IsBranch(source.substr(i, length));
      tokens += !std::isdigit(static_cast<unsigned char>(c));
    } else if (c == '\n') {
      const bool goes_on = open_brackets > 0 || (i > 0 && source[i - 1] == '\\');
      if (!goes_on) tokens = 0;
    } else if (c != ' ' && c != ',' && c != '.' && c != '\t' && c != '\r') {
      ++tokens;
      if (c == '(' || c == '[' || c == '{') ++open_brackets;
      if (c == ')' || c == ']' || c == '}') --open_brackets;
    }
    if (tokens > kMaxTokensInStatement) return Error{"a statement of the script is too long"};
    if (branches > kMaxBranches) return Error{"the script has too many branches"};
    i += length;
  }
  return std::nullopt;
}

}  // namespace redisai::torch_backend
