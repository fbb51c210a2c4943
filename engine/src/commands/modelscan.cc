// AI._MODELSCAN: the models of the selected database. Walks the whole keyspace, like KEYS: for people, not
// for programs.

#include <string>
#include <utility>
#include <vector>

#include "commands/handlers.h"
#include "persist/types.h"
#include "redis/guard.h"
#include "redis/reply.h"
#include "values/model.h"

namespace redisai::commands {
namespace {

using Found = std::vector<std::pair<std::string, std::string>>;  // key and tag

void Collect(RedisModuleCtx*, RedisModuleString* name, RedisModuleKey* key, void* found) noexcept {
  redis::Guarded<int>(0, [&] {
    if (!key || redis::ModuleTypeGetType(key) != persist::ModelType()) return 0;
    const auto& model = **static_cast<const Model::Ref*>(redis::ModuleTypeGetValue(key));
    static_cast<Found*>(found)->emplace_back(redis::View(name), model.options().tag);
    return 0;
  });
}

}  // namespace

int ModelScan(RedisModuleCtx* ctx, redis::Args args) {
  if (!args.empty()) return redis::WrongArity(ctx);
  Found found;
  RedisModuleScanCursor* cursor = redis::ScanCursorCreate();
  while (redis::Scan(ctx, cursor, Collect, &found)) {
  }
  redis::ScanCursorDestroy(cursor);
  redis::ReplyWithArray(ctx, static_cast<long>(found.size()));
  for (const auto& [key, tag] : found) {
    redis::ReplyWithArray(ctx, 2);
    redis::Reply(ctx, key);
    redis::Reply(ctx, tag);
  }
  return redis::kOk;
}

}  // namespace redisai::commands
