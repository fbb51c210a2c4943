// Finds the ends of RESP2 replies in a stream of bytes that arrives in pieces, and errors anywhere in them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

class ReplyScanner {
 public:
  // Returns how many replies ended in `bytes`. Throws where one is an error, or has one as an element.
  size_t Scan(std::string_view bytes) {
    size_t ended = 0;
    while (!bytes.empty()) {
      if (body_left_ > 0) {
        const size_t taken = std::min(body_left_, bytes.size());
        bytes.remove_prefix(taken);
        body_left_ -= taken;
        if (body_left_ > 0) break;
      } else {
        const size_t newline = bytes.find('\n');
        line_.append(bytes.substr(0, newline));
        if (newline == std::string_view::npos) break;
        bytes.remove_prefix(newline + 1);
        ReadLine();
        line_.clear();
        if (body_left_ > 0) continue;
      }
      if (--values_left_ == 0) {
        ++ended;
        values_left_ = 1;
      }
    }
    return ended;
  }

 private:
  // Takes in a line, without its newline: all of a value, or what comes before its body or elements.
  void ReadLine() {
    if (line_.empty()) throw std::runtime_error("an empty line where a reply should begin");
    switch (line_[0]) {
      case '+':
      case ':':
        return;
      case '$':
        if (const long size_bytes = std::stol(line_.substr(1)); size_bytes >= 0) body_left_ = size_bytes + 2;
        return;
      case '*':
        values_left_ += std::max(0L, std::stol(line_.substr(1)));
        return;
      case '-':
        throw std::runtime_error("the server answered " + line_);
      default:
        throw std::runtime_error("not a reply: " + line_);
    }
  }

  std::string line_;        // the part of the current line that has come
  size_t body_left_ = 0;    // bytes to come of the current bulk string and the newline after it
  size_t values_left_ = 1;  // to come before the current reply has ended
};
