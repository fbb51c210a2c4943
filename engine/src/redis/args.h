// The arguments of a command, read from left to right.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/text.h"
#include "redis/handles.h"

namespace redisai::redis {

class Args {
 public:
  // `left` begins after the command's name, which has position 0.
  explicit Args(std::span<RedisModuleString* const> left) : begin_(left.data()), left_(left) {}

  bool empty() const { return left_.empty(); }
  size_t size() const { return left_.size(); }
  // Of the next argument, as RM_KeyAtPosWithFlags counts.
  int position() const { return static_cast<int>(left_.data() - begin_) + 1; }
  std::string_view Peek() const { return View(left_.front()); }

  RedisModuleString* NextString() {
    RedisModuleString* string = left_.front();
    left_ = left_.subspan(1);
    return string;
  }
  std::string_view Next() { return View(NextString()); }

  // Steps over `word`, which is upper case, if it comes next.
  bool TakeWord(std::string_view word) {
    if (empty() || !EqualsIgnoreCase(Peek(), word)) return false;
    NextString();
    return true;
  }

  // Steps over the next argument and gives its number, if it is one.
  template <typename Number>
  std::optional<Number> NextNumber() {
    if (empty()) return std::nullopt;
    return ParseNumber<Number>(Next());
  }

  // The next `count` arguments; there must be as many.
  std::span<RedisModuleString* const> Take(size_t count) {
    const auto taken = left_.first(count);
    left_ = left_.subspan(count);
    return taken;
  }

 private:
  RedisModuleString* const* begin_;
  std::span<RedisModuleString* const> left_;
};

// Reports the next argument as a key and steps over it.
inline void ReportKey(RedisModuleCtx* ctx, Args& args, KeyUse use) {
  KeyAtPosWithFlags(ctx, args.position(), use);
  args.NextString();
}

}  // namespace redisai::redis
