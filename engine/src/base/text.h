// Small text questions that several parts ask.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace redisai {

inline bool EqualsIgnoreCase(std::string_view text, std::string_view upper_case_word) {
  if (text.size() != upper_case_word.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) != upper_case_word[i]) return false;
  }
  return true;
}

// The number that is the whole of `text`, or nothing.
template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, number);
  if (status != std::errc{} || stop != end) return std::nullopt;
  return number;
}

// `text` on one line, as the protocol wants errors.
inline std::string OneLine(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return line;
}

}  // namespace redisai
