// On whose behalf a command runs, kept beyond it: the client's database and its user.
#pragma once

#include <optional>

#include "redis/api.h"
#include "redis/handles.h"

namespace redisai::redis {

struct Caller {
  int database = 0;
  // None for what comes from no user's connection: replication, AOF, the server itself.
  std::optional<String> user;

  static Caller Of(RedisModuleCtx* ctx) {
    Caller caller{GetSelectedDb(ctx), std::nullopt};
    if (RedisModuleString* name = GetCurrentUserName(ctx)) {
      caller.user.emplace(View(name));
      FreeString(ctx, name);
    }
    return caller;
  }
};

// A user's rights; empty when the user was deleted while its connection lives.
class User {
 public:
  explicit User(const String& name) : user_(GetModuleUserFromUserName(name.get())) {}
  ~User() {
    if (user_) FreeModuleUser(user_);
  }
  User(const User&) = delete;
  User& operator=(const User&) = delete;

  explicit operator bool() const { return user_ != nullptr; }
  RedisModuleUser* get() const { return user_; }

 private:
  RedisModuleUser* user_;
};

// A context of its own in the caller's database, for calls outside a command. Main thread only.
class DetachedContext {
 public:
  explicit DetachedContext(int database) : ctx_(GetThreadSafeContext(nullptr)) { SelectDb(ctx_, database); }
  ~DetachedContext() { FreeThreadSafeContext(ctx_); }
  DetachedContext(const DetachedContext&) = delete;
  DetachedContext& operator=(const DetachedContext&) = delete;

  RedisModuleCtx* get() const { return ctx_; }

 private:
  RedisModuleCtx* ctx_;
};

}  // namespace redisai::redis
