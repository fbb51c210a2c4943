// Replies, in the types of the rest of the engine.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "redis/api.h"

namespace redisai::redis {

inline int Reply(RedisModuleCtx* ctx, std::string_view text) {
  return ReplyWithStringBuffer(ctx, text.data(), text.size());
}

inline int ReplyOk(RedisModuleCtx* ctx) { return ReplyWithSimpleString(ctx, "OK"); }

inline int ReplyError(RedisModuleCtx* ctx, const Error& error) {
  return ReplyWithError(ctx, (std::string(error.code) + ' ' + error.text).c_str());
}

// One name and its value, of a reply that alternates them.
inline void ReplyField(RedisModuleCtx* ctx, std::string_view name, std::string_view value) {
  Reply(ctx, name);
  Reply(ctx, value);
}
inline void ReplyField(RedisModuleCtx* ctx, std::string_view name, int64_t value) {
  Reply(ctx, name);
  ReplyWithLongLong(ctx, value);
}

}  // namespace redisai::redis
