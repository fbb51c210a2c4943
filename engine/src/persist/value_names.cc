#include "persist/value_names.h"

#include <string>
#include <unordered_map>

#include "persist/types.h"
#include "redis/guard.h"
#include "redis/handles.h"

namespace redisai::persist {
namespace {

bool tracking = false;

template <typename Value>
class NameTable {
 public:
  void Remember(std::string_view key, const std::shared_ptr<const Value>& value) {
    if (tracking) names_[std::string(key)] = value;
  }
  void Forget(std::string_view key) {
    if (tracking) names_.erase(std::string(key));
  }
  std::shared_ptr<const Value> Find(std::string_view key) const {
    const auto found = names_.find(std::string(key));
    return found == names_.end() ? nullptr : found->second.lock();
  }
  void Clear() { names_.clear(); }

 private:
  std::unordered_map<std::string, std::weak_ptr<const Value>> names_;
};

// Never destroyed: values may be freed while the process exits.
NameTable<Model>& Models() {
  static auto* models = new NameTable<Model>();
  return *models;
}
NameTable<Script>& Scripts() {
  static auto* scripts = new NameTable<Script>();
  return *scripts;
}

// The old name of a renamed key is forgotten by the type's unlink; nothing but this event tells the new one.
int OnGenericEvent(RedisModuleCtx* ctx, int, const char* event, RedisModuleString* name) noexcept {
  if (std::string_view(event) != "rename_to") return redis::kOk;
  return redis::Guarded<int>(redis::kErr, [&] {
    const redis::Key key(ctx, name, redis::kRead);
    if (key.holds(ModelType()))
      RememberModel(redis::View(name), *static_cast<const Model::Ref*>(key.value()));
    if (key.holds(ScriptType()))
      RememberScript(redis::View(name), *static_cast<const Script::Ref*>(key.value()));
    return redis::kOk;
  });
}

void OnFlush(RedisModuleCtx*, RedisModuleEvent, uint64_t, void*) noexcept {
  Models().Clear();
  Scripts().Clear();
}

}  // namespace

void TrackValueNames(RedisModuleCtx* ctx) {
  tracking = (redis::GetContextFlags(ctx) & redis::kInCluster) != 0;
  if (!tracking) return;
  redis::SubscribeToKeyspaceEvents(ctx, redis::kNotifyGeneric, OnGenericEvent);
  redis::SubscribeToServerEvent(ctx, redis::kFlushEvent, OnFlush);
}

bool TracksValueNames() { return tracking; }

void RememberModel(std::string_view key, const Model::Ref& model) { Models().Remember(key, model); }
void RememberScript(std::string_view key, const Script::Ref& script) { Scripts().Remember(key, script); }

void ForgetModel(std::string_view key) { Models().Forget(key); }
void ForgetScript(std::string_view key) { Scripts().Forget(key); }

Model::Ref FindModel(std::string_view key) { return Models().Find(key); }
Script::Ref FindScript(std::string_view key) { return Scripts().Find(key); }

}  // namespace redisai::persist
