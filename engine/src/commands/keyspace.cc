#include "commands/keyspace.h"

#include <memory>

#include "persist/arguments.h"
#include "persist/types.h"
#include "persist/value_names.h"

namespace redisai::commands {
namespace {

Error WrongType() { return {"Operation against a key holding the wrong kind of value", "WRONGTYPE"}; }

Error EmptyModelKey() { return {"model key is empty"}; }
Error EmptyScriptKey() { return {"script key is empty"}; }

// The value under `key`, null where the key is empty.
Result<void*> ReadValue(RedisModuleCtx* ctx, RedisModuleString* name, RedisModuleType* type) {
  const redis::Key key(ctx, name, redis::kRead);
  if (key.empty()) return nullptr;
  if (!key.holds(type)) return WrongType();
  return key.value();
}

// Whether the caller may read `key`.
std::optional<Error> CheckAccess(const redis::Caller& caller, RedisModuleString* key) {
  if (!caller.user) return std::nullopt;
  const redis::User user(*caller.user);
  if (user && redis::ACLCheckKeyPermissions(user.get(), key, redis::kAccessKey) == redis::kOk)
    return std::nullopt;
  return Error{"No permissions to access a key", "NOPERM"};
}

void Write(RedisModuleCtx* ctx, RedisModuleString* name, RedisModuleType* type, void* value,
           const char* event) {
  redis::Key(ctx, name, redis::kWrite).Set(type, value);
  redis::NotifyKeyspaceEvent(ctx, redis::kNotifyModule, event, name);
}

}  // namespace

Result<TensorRef> ReadTensor(RedisModuleCtx* ctx, RedisModuleString* key) {
  const auto value = ReadValue(ctx, key, persist::TensorType());
  if (!value) return value.error();
  if (!*value) return Error{"tensor key is empty or in a different shard"};
  return TensorRef::Borrow(*value);
}

Result<Model::Ref> ReadModel(RedisModuleCtx* ctx, RedisModuleString* key) {
  const auto value = ReadValue(ctx, key, persist::ModelType());
  if (!value) return value.error();
  if (!*value) return EmptyModelKey();
  return *static_cast<const Model::Ref*>(*value);
}

Result<Script::Ref> ReadScript(RedisModuleCtx* ctx, RedisModuleString* key) {
  const auto value = ReadValue(ctx, key, persist::ScriptType());
  if (!value) return value.error();
  if (!*value) return EmptyScriptKey();
  return *static_cast<const Script::Ref*>(*value);
}

Result<Model::Ref> ReadUndeclaredModel(RedisModuleCtx* ctx, const redis::Caller& caller,
                                       RedisModuleString* key) {
  if (auto error = CheckAccess(caller, key)) return *error;
  if (!persist::TracksValueNames()) return ReadModel(ctx, key);
  auto model = persist::FindModel(redis::View(key));
  if (!model) return EmptyModelKey();
  return model;
}

Result<Script::Ref> ReadUndeclaredScript(RedisModuleCtx* ctx, const redis::Caller& caller,
                                         RedisModuleString* key) {
  if (auto error = CheckAccess(caller, key)) return *error;
  if (!persist::TracksValueNames()) return ReadScript(ctx, key);
  auto script = persist::FindScript(redis::View(key));
  if (!script) return EmptyScriptKey();
  return script;
}

std::optional<Error> CheckWritable(RedisModuleCtx* ctx, RedisModuleString* name, RedisModuleType* type) {
  const redis::Key key(ctx, name, redis::kRead);
  if (key.empty() || key.holds(type)) return std::nullopt;
  return WrongType();
}

bool MustKeep(RedisModuleCtx* ctx) {
  return (redis::GetContextFlags(ctx) & (redis::kFromMaster | redis::kLoading)) != 0;
}

std::optional<Error> CheckStillWritable(RedisModuleCtx* ctx, RedisModuleString* name, RedisModuleType* type) {
  // The server lets a module call no command on a key of another node, and has no other way to ask.
  if (persist::TracksValueNames()) {
    RedisModuleCallReply* reply = redis::Call(ctx, "EXISTS", "s", name);
    if (!reply) return Error{"the key's slot has moved to another shard"};
    redis::FreeCallReply(reply);
  }
  return CheckWritable(ctx, name, type);
}

void WriteTensor(RedisModuleCtx* ctx, RedisModuleString* key, TensorRef tensor) {
  persist::ReplicateTensor(ctx, key, *tensor);
  Write(ctx, key, persist::TensorType(), std::move(tensor).Release(), "ai.tensorset");
}

void WriteModel(RedisModuleCtx* ctx, RedisModuleString* key, const Model::Ref& model) {
  persist::ReplicateModel(ctx, key, *model);
  Write(ctx, key, persist::ModelType(), std::make_unique<Model::Ref>(model).release(), "ai.modelstore");
  persist::RememberModel(redis::View(key), model);  // after the write, which forgets what was there
}

void WriteScript(RedisModuleCtx* ctx, RedisModuleString* key, const Script::Ref& script) {
  persist::ReplicateScript(ctx, key, *script);
  Write(ctx, key, persist::ScriptType(), std::make_unique<Script::Ref>(script).release(), "ai.scriptstore");
  persist::RememberScript(redis::View(key), script);  // after the write, which forgets what was there
}

void DeleteValue(RedisModuleCtx* ctx, RedisModuleString* key, const char* command, const char* event) {
  redis::Key(ctx, key, redis::kWrite).Delete();
  redis::Replicate(ctx, command, "s", key);
  redis::NotifyKeyspaceEvent(ctx, redis::kNotifyModule, event, key);
}

std::optional<Error> WriteTensors(RedisModuleCtx* ctx, std::span<NamedTensor> tensors) {
  for (const auto& [key, tensor] : tensors) {
    if (auto error = CheckStillWritable(ctx, key.get(), persist::TensorType())) return error;
  }
  for (auto& [key, tensor] : tensors) WriteTensor(ctx, key.get(), std::move(tensor));
  return std::nullopt;
}

}  // namespace redisai::commands
