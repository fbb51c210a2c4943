// AI__MODEL. RDB, version 1: device, tag, batch size, least batch size, batch timeout, blob as chunks after
// their number.
//
// Threads: as for tensors. Save reads immutable values only, since the forked child owns none of the locks. A
// model is loaded into libtorch while the RDB is read: a server that answers is ready to run what it holds.

#include <limits>

#include "base/limits.h"
#include "persist/arguments.h"
#include "persist/load_value.h"
#include "persist/types.h"
#include "persist/value_names.h"
#include "redis/guard.h"
#include "redis/rdb.h"
#include "runtime/load.h"
#include "values/model.h"

namespace redisai::persist {
namespace {

// Freeing a module's graph and weights is work for the server's background thread; any effort above 64 sends
// it there.
constexpr size_t kFreeEffort = 1000;

RedisModuleType* model_type = nullptr;

const Model& Of(const void* value) { return **static_cast<const Model::Ref*>(value); }

Result<Model::Ref> Read(RedisModuleIO* io) {
  redis::RdbReader rdb(io);
  const Error damaged{"the model is damaged"};
  const auto device_name = rdb.String();
  const auto tag = rdb.String();
  const auto batch_size = rdb.Number(INT64_MAX);
  const auto min_batch_size = rdb.Number(INT64_MAX);
  const auto min_batch_timeout_ms = rdb.Number(kMaxWaitMs);
  const auto chunk_count = rdb.Number(std::numeric_limits<uint32_t>::max());
  if (!chunk_count) return damaged;
  // As AI.MODELSTORE has it, which an AOF would be given.
  if ((*batch_size == 0 && *min_batch_size > 0) || (*min_batch_size == 0 && *min_batch_timeout_ms > 0))
    return damaged;
  std::vector<redis::RdbReader::Bytes> chunks;  // grows with what is really there, whatever the number says
  for (uint64_t i = 0; i < *chunk_count; ++i) {
    auto chunk = rdb.String();
    if (!chunk) return damaged;
    chunks.push_back(std::move(*chunk));
  }
  const auto device = Device::Parse(device_name->view());
  if (!device) return damaged;

  std::vector<std::string_view> views;
  for (const auto& chunk : chunks) views.push_back(chunk.view());
  const auto blob = Blob::Join(views);
  if (!blob) return blob.error();
  ModelOptions options{*device, std::string(tag->view()), static_cast<int64_t>(*batch_size),
                       static_cast<int64_t>(*min_batch_size), static_cast<int64_t>(*min_batch_timeout_ms)};
  auto program = LoadModel(*blob, *device);
  if (!program) {
    redis::LogIOError(io, "warning", "a model is kept but cannot run here: %s", program.error().text.c_str());
  }
  return Model::Ref(std::make_shared<Model>(std::move(options), *blob, std::move(program)));
}

void* Load(RedisModuleIO* io, int version) noexcept {
  return LoadValue(io, version, "model", Read, [io](const Model::Ref& model) {
    if (const auto* key = redis::GetKeyNameFromIO(io)) RememberModel(redis::View(key), model);
    return std::make_unique<Model::Ref>(model).release();
  });
}

void SaveText(RedisModuleIO* io, std::string_view text) {
  redis::SaveStringBuffer(io, text.data(), text.size());
}

void Save(RedisModuleIO* io, void* value) noexcept {
  const Model& model = Of(value);
  const ModelOptions& options = model.options();
  SaveText(io, options.device.name());
  SaveText(io, options.tag);
  redis::SaveUnsigned(io, static_cast<uint64_t>(options.batch_size));
  redis::SaveUnsigned(io, static_cast<uint64_t>(options.min_batch_size));
  redis::SaveUnsigned(io, static_cast<uint64_t>(options.min_batch_timeout_ms));
  const auto chunks = Chunks(model.blob()->view());
  redis::SaveUnsigned(io, chunks.size());
  for (const auto chunk : chunks) SaveText(io, chunk);
}

void Rewrite(RedisModuleIO* io, RedisModuleString* key, void* value) noexcept {
  const auto strings = ModelArguments(Of(value));
  auto arguments = redis::Pointers(strings);
  redis::EmitAOF(io, "AI.MODELSTORE", "sv", key, arguments.data(), arguments.size());
}

void Digest(RedisModuleDigest* digest, void* value) noexcept {
  const Model& model = Of(value);
  for (const std::string& text : {model.options().device.name(), model.options().tag}) {
    redis::DigestAddStringBuffer(digest, text.data(), text.size());
  }
  redis::DigestAddLongLong(digest, model.options().batch_size);
  redis::DigestAddLongLong(digest, model.options().min_batch_size);
  redis::DigestAddLongLong(digest, model.options().min_batch_timeout_ms);
  redis::DigestAddStringBuffer(digest, model.blob()->view().data(), model.blob()->view().size());
  redis::DigestEndSequence(digest);
}

size_t MemoryUsage(const void* value) noexcept {
  const Model& model = Of(value);
  const auto& program = model.program();
  return sizeof(Model) + model.blob()->memory_bytes() + (program ? (*program)->parameter_bytes() : 0);
}

size_t FreeEffort(RedisModuleString*, const void*) noexcept { return kFreeEffort; }

// The copy runs the same program and counts its own runs.
void* Copy(RedisModuleString*, RedisModuleString* to, const void* value) noexcept {
  return redis::Guarded<void*>(nullptr, [&]() -> void* {
    const Model& model = Of(value);
    const Model::Ref copy = std::make_shared<Model>(model.options(), model.blob(), model.program());
    RememberModel(redis::View(to), copy);
    return std::make_unique<Model::Ref>(copy).release();
  });
}

void Unlink(RedisModuleString* key, const void*) noexcept { ForgetModel(redis::View(key)); }

void FreeValue(void* value) noexcept { delete static_cast<Model::Ref*>(value); }

}  // namespace

RedisModuleType* ModelType() { return model_type; }

bool RegisterModelType(RedisModuleCtx* ctx) {
  redis::TypeMethods methods{.rdb_load = Load,
                             .rdb_save = Save,
                             .aof_rewrite = Rewrite,
                             .mem_usage = MemoryUsage,
                             .digest = Digest,
                             .free = FreeValue,
                             .free_effort = FreeEffort,
                             .unlink = Unlink,
                             .copy = Copy};
  model_type = redis::CreateDataType(ctx, "AI__MODEL", kEncodingVersion, &methods);
  return model_type != nullptr;
}

}  // namespace redisai::persist
