// AI_SCRIPT. RDB, ours and RedisAI's versions 3 and 4: device, tag, source, number of entry points, each
// entry point; before, without entry points. Texts of RedisAI end in a NUL.
//
// Threads: as for models. A script is compiled while the RDB is read.

#include "persist/arguments.h"
#include "persist/load_value.h"
#include "persist/types.h"
#include "persist/value_names.h"
#include "redis/guard.h"
#include "redis/rdb.h"
#include "runtime/load.h"
#include "values/script.h"

namespace redisai::persist {
namespace {

// As for models: graphs are freed on the server's background thread.
constexpr size_t kFreeEffort = 1000;
constexpr int kFirstWithEntryPoints = 3;

RedisModuleType* script_type = nullptr;

const Script& Of(const void* value) { return **static_cast<const Script::Ref*>(value); }

Result<Script::Ref> Read(RedisModuleIO* io, int version) {
  redis::RdbReader rdb(io);
  const Error damaged{"the script is damaged"};
  const auto device_text = rdb.String();
  const auto tag = rdb.String();
  const auto text = rdb.String();
  if (!text) return damaged;
  std::optional<std::vector<std::string>> entry_points(std::in_place);
  if (version >= kFirstWithEntryPoints) entry_points = Texts(rdb, version);
  if (!entry_points) return damaged;
  const auto device = LoadDevice(io, "script", Text(device_text->view(), version));
  if (!device) return damaged;
  ScriptOptions options{*device, version == 0 ? Text(tag->view(), version) : std::string(tag->view()),
                        std::move(*entry_points)};
  const std::string source_text = Text(text->view(), version);
  const std::string_view chunk = source_text;
  const auto source = Blob::Join({&chunk, 1});
  if (!source) return source.error();
  auto program = CompileScript((*source)->view(), options);
  if (!program) {
    redis::LogIOError(io, "warning", "the script under the key '%s' is kept but cannot run here: %s",
                      KeyName(io).c_str(), program.error().text.c_str());
  }
  return Script::Ref(std::make_shared<Script>(std::move(options), *source, std::move(program)));
}

void* Load(RedisModuleIO* io, int version) noexcept {
  return LoadValue(io, version, "script", Read, [io](const Script::Ref& script) {
    if (const auto* key = redis::GetKeyNameFromIO(io)) RememberScript(redis::View(key), script);
    return std::make_unique<Script::Ref>(script).release();
  });
}

void SaveText(RedisModuleIO* io, std::string_view text) {
  redis::SaveStringBuffer(io, text.data(), text.size());
}

void Save(RedisModuleIO* io, void* value) noexcept {
  const Script& script = Of(value);
  const ScriptOptions& options = script.options();
  SaveText(io, options.device.text);
  SaveText(io, options.tag);
  SaveText(io, script.source()->view());
  redis::SaveUnsigned(io, options.entry_points.size());
  for (const std::string& name : options.entry_points) SaveText(io, name);
}

void Rewrite(RedisModuleIO* io, RedisModuleString* key, void* value) noexcept {
  const auto strings = ScriptArguments(Of(value));
  auto arguments = redis::Pointers(strings);
  redis::EmitAOF(io, "AI.SCRIPTSTORE", "sv", key, arguments.data(), arguments.size());
}

void Digest(RedisModuleDigest* digest, void* value) noexcept {
  const Script& script = Of(value);
  const auto add = [digest](std::string_view text) {
    redis::DigestAddStringBuffer(digest, text.data(), text.size());
  };
  add(script.options().device.text);
  add(script.options().tag);
  redis::DigestAddLongLong(digest, static_cast<long long>(script.options().entry_points.size()));
  for (const std::string& name : script.options().entry_points) add(name);
  add(script.source()->view());
  redis::DigestEndSequence(digest);
}

// The compiled graphs are not counted: libtorch does not say what they cost.
size_t MemoryUsage(const void* value) noexcept { return sizeof(Script) + Of(value).source()->memory_bytes(); }

size_t FreeEffort(RedisModuleString*, const void*) noexcept { return kFreeEffort; }

// The copy runs the same program and counts its own runs.
void* Copy(RedisModuleString*, RedisModuleString* to, const void* value) noexcept {
  return redis::Guarded<void*>(nullptr, [&]() -> void* {
    const Script& script = Of(value);
    const Script::Ref copy = std::make_shared<Script>(script.options(), script.source(), script.program());
    RememberScript(redis::View(to), copy);
    return std::make_unique<Script::Ref>(copy).release();
  });
}

void Unlink(RedisModuleString* key, const void*) noexcept { ForgetScript(redis::View(key)); }

void FreeValue(void* value) noexcept { delete static_cast<Script::Ref*>(value); }

}  // namespace

RedisModuleType* ScriptType() { return script_type; }

bool RegisterScriptType(RedisModuleCtx* ctx) {
  redis::TypeMethods methods{.rdb_load = Load,
                             .rdb_save = Save,
                             .aof_rewrite = Rewrite,
                             .mem_usage = MemoryUsage,
                             .digest = Digest,
                             .free = FreeValue,
                             .free_effort = FreeEffort,
                             .unlink = Unlink,
                             .copy = Copy};
  script_type = redis::CreateDataType(ctx, "AI_SCRIPT", kEncodingVersion, &methods);
  return script_type != nullptr;
}

}  // namespace redisai::persist
