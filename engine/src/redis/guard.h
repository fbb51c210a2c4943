// No exception may cross into the server: every callback we register goes through one of these.
#pragma once

#include <exception>
#include <span>

#include "redis/api.h"
#include "redis/args.h"
#include "redis/reply.h"

namespace redisai::redis {

using Handler = int (*)(RedisModuleCtx*, Args);

// The function the server calls for `handler`, which gets the arguments after the command's name.
template <Handler handler>
int Callback(RedisModuleCtx* ctx, RedisModuleString** argv, int argc) noexcept {
  try {
    return handler(ctx, Args(std::span(argv, static_cast<size_t>(argc)).subspan(1)));
  } catch (const std::exception& error) {
    return ReplyError(ctx, Error{error.what()});
  } catch (...) {
    return ReplyError(ctx, Error{"unknown exception"});
  }
}

// A command's function and its arity, as the server counts: its words with its name, negative for at least so
// many.
struct Handling {
  CommandFunction function;
  int arity;
};

// The server checks the arity before it calls, but not of what it reads from an AOF, nor where it asks for
// the keys: then there are none, and nobody to whom an error could go.
template <Handler handler, int arity>
constexpr Handling Handled() {
  return {[](RedisModuleCtx* ctx, RedisModuleString** argv, int argc) noexcept {
            if (arity < 0 ? argc < -arity : argc != arity)
              return IsKeysPositionRequest(ctx) ? kOk : WrongArity(ctx);
            return Callback<handler>(ctx, argv, argc);
          },
          arity};
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
