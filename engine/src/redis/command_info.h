// Our declaration of what RM_SetCommandInfo takes: how a command describes itself to the server. The layouts
// and numbers are the server's; what we do not use stays null. The server copies all of it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace redisai::redis {

// RedisModuleCommandHistoryEntry. Lists of these, and of the next two, end with a zeroed entry.
struct CommandChange {
  const char* since = nullptr;
  const char* text = nullptr;
};

// RedisModuleCommandKeySpec: where a command has keys, and what it does with them.
struct KeySpec {
  enum Begin { kBeginNowhere = 0, kBeginUnknown = 1, kBeginAtIndex = 2, kBeginAfterKeyword = 3 };
  enum Find { kFindNothing = 0, kFindUnknown = 1, kFindRange = 2, kFindCounted = 3 };
  struct Index {
    int position;
  };
  struct Keyword {
    const char* word;
    int start_from;
  };
  struct Range {
    int last_key;  // relative to the first; -1 is the last argument
    int step;
    int limit;
  };
  struct Counted {
    int count_at;  // relative to the word behind the keyword, as is the next
    int first_key;
    int step;
  };

  const char* notes = nullptr;
  uint64_t flags = 0;  // of KeyUse and KeySpecFlag
  Begin begin = kBeginNowhere;
  union {
    Index index;
    Keyword keyword{};
  };
  Find find = kFindNothing;
  union {
    Range range{};
    Counted counted;
  };
};

// The server asks the command itself for its keys (getkeys-api) where a spec says that it may miss some.
enum KeySpecFlag { kSpecIncomplete = 1 << 9 };

// RedisModuleCommandArg.
struct CommandArgument {
  enum Type { kString = 0, kInteger = 1, kKey = 3, kPureToken = 6, kOneOf = 7, kBlock = 8 };
  enum Flag { kOptional = 1 << 0, kMultiple = 1 << 1, kMultipleToken = 1 << 2 };
  static constexpr int kNoKeySpec = -1;

  const char* name = nullptr;
  Type type = kString;
  int key_spec = 0;
  const char* token = nullptr;
  const char* summary = nullptr;
  const char* since = nullptr;
  int flags = 0;
  const char* deprecated_since = nullptr;
  CommandArgument* parts = nullptr;
  const char* display_text = nullptr;
};

// RedisModuleCommandInfoVersion: what lets a newer server read these layouts.
struct CommandInfoVersion {
  int version = 1;
  size_t change_bytes = sizeof(CommandChange);
  size_t key_spec_bytes = sizeof(KeySpec);
  size_t argument_bytes = sizeof(CommandArgument);
};
inline constexpr CommandInfoVersion kCommandInfoVersion;

// RedisModuleCommandInfo.
struct CommandInfo {
  const CommandInfoVersion* version = &kCommandInfoVersion;
  const char* summary = nullptr;
  const char* complexity = nullptr;
  const char* since = nullptr;
  CommandChange* history = nullptr;
  const char* tips = nullptr;
  int arity = 0;
  KeySpec* key_specs = nullptr;
  CommandArgument* arguments = nullptr;
};

}  // namespace redisai::redis
