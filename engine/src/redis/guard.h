// No exception may cross into the server: every callback we register goes through one of these.
#pragma once

#include <exception>
#include <span>

#include "redis/api.h"
#include "redis/args.h"
#include "redis/reply.h"

namespace redisai::redis {

using Handler = int (*)(RedisModuleCtx*, Args);

// The command function of `handler`, which gets the arguments after the command's name; fewer than `least` of
// them are the server's own arity error.
template <Handler handler, int least>
int Command(RedisModuleCtx* ctx, RedisModuleString** argv, int argc) noexcept {
  if (argc - 1 < least) return WrongArity(ctx);
  try {
    return handler(ctx, Args(std::span(argv, static_cast<size_t>(argc)).subspan(1)));
  } catch (const std::exception& error) {
    return ReplyError(ctx, Error{error.what()});
  } catch (...) {
    return ReplyError(ctx, Error{"unknown exception"});
  }
}

// Calls `body`; `fallback` is what the server gets when it throws.
template <typename Value, typename Body>
Value Guarded(Value fallback, Body&& body) noexcept {
  try {
    return body();
  } catch (...) {
    return fallback;
  }
}

}  // namespace redisai::redis
