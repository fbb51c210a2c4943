#include "commands/scan.h"

#include <utility>
#include <vector>

#include "redis/guard.h"
#include "redis/reply.h"

namespace redisai::commands {
namespace {

struct Search {
  RedisModuleType* type;
  const std::string& (*tag_of)(const void* value);
  std::vector<std::pair<std::string, std::string>> found;  // key and tag
};

// Whether the key's time has passed, though the server holds it still. Asked of the key as it lies there: to
// open it by its name would be to look in the slot of the running command.
bool HasExpired(RedisModuleKey* key) {
  const long long end_ms = redis::GetAbsExpire(key);
  return end_ms >= 0 && end_ms < redis::Milliseconds();
}

void Collect(RedisModuleCtx*, RedisModuleString* name, RedisModuleKey* key, void* data) noexcept {
  redis::Guarded<int>(0, [&] {
    auto& search = *static_cast<Search*>(data);
    if (!key || redis::ModuleTypeGetType(key) != search.type || HasExpired(key)) return 0;
    search.found.emplace_back(redis::View(name), search.tag_of(redis::ModuleTypeGetValue(key)));
    return 0;
  });
}

}  // namespace

int ReplyScan(RedisModuleCtx* ctx, RedisModuleType* type, const std::string& (*tag_of)(const void* value)) {
  Search search{type, tag_of, {}};
  RedisModuleScanCursor* cursor = redis::ScanCursorCreate();
  while (redis::Scan(ctx, cursor, Collect, &search)) {
  }
  redis::ScanCursorDestroy(cursor);
  redis::ReplyWithArray(ctx, static_cast<long>(search.found.size()));
  for (const auto& [key, tag] : search.found) {
    redis::ReplyWithArray(ctx, 2);
    redis::Reply(ctx, key);
    redis::Reply(ctx, tag);
  }
  return redis::kOk;
}

}  // namespace redisai::commands
