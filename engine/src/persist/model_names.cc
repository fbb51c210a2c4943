#include "persist/model_names.h"

#include <string>
#include <unordered_map>

#include "persist/types.h"
#include "redis/guard.h"
#include "redis/handles.h"

namespace redisai::persist {
namespace {

bool tracking = false;

std::unordered_map<std::string, std::weak_ptr<const Model>>& Names() {
  static auto* names = new std::unordered_map<std::string, std::weak_ptr<const Model>>();
  return *names;
}

// The old name of a renamed key is forgotten by the type's unlink; nothing but this event tells the new one.
int OnGenericEvent(RedisModuleCtx* ctx, int, const char* event, RedisModuleString* name) noexcept {
  if (std::string_view(event) != "rename_to") return redis::kOk;
  return redis::Guarded<int>(redis::kErr, [&] {
    const redis::Key key(ctx, name, redis::kRead);
    if (key.holds(ModelType()))
      RememberModel(redis::View(name), *static_cast<const Model::Ref*>(key.value()));
    return redis::kOk;
  });
}

void OnFlush(RedisModuleCtx*, RedisModuleEvent, uint64_t, void*) noexcept { Names().clear(); }

}  // namespace

void TrackModelNames(RedisModuleCtx* ctx) {
  tracking = (redis::GetContextFlags(ctx) & redis::kInCluster) != 0;
  if (!tracking) return;
  redis::SubscribeToKeyspaceEvents(ctx, redis::kNotifyGeneric, OnGenericEvent);
  redis::SubscribeToServerEvent(ctx, redis::kFlushEvent, OnFlush);
}

bool TracksModelNames() { return tracking; }

void RememberModel(std::string_view key, const Model::Ref& model) {
  if (tracking) Names()[std::string(key)] = model;
}

void ForgetModel(std::string_view key) {
  if (tracking) Names().erase(std::string(key));
}

Model::Ref FindModel(std::string_view key) {
  const auto found = Names().find(std::string(key));
  return found == Names().end() ? nullptr : found->second.lock();
}

}  // namespace redisai::persist
