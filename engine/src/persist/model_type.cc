// AI__MODEL. RDB, ours and RedisAI's versions 2 to 4: backend, device, tag, batch size, least batch size,
// batch timeout, inputs and outputs, each a number and names, the blob's size and its chunks after their
// number. Before version 2 without the timeout, in version 0 with the blob as one string. Texts of RedisAI
// end in a NUL.
//
// Threads: as for tensors. Save reads immutable values only, since the forked child owns none of the locks. A
// model is loaded into libtorch while the RDB is read: a server that answers is ready to run what it holds.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

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
constexpr int kFirstWithBatchTimeout = 2;

RedisModuleType* model_type = nullptr;

const Model& Of(const void* value) { return **static_cast<const Model::Ref*>(value); }

// Version 0 has the blob as one string, the others as its size, the number of its chunks, and these.
Result<Blob::Ref> ReadBlob(redis::RdbReader& rdb, int version) {
  const Error damaged{"the model is damaged"};
  std::optional<uint64_t> size_bytes;
  std::optional<uint64_t> chunk_count = 1;
  if (version > 0) {
    size_bytes = rdb.Number(UINT64_MAX);
    chunk_count = rdb.Number(UINT64_MAX);
    if (!chunk_count) return damaged;
  }
  std::vector<redis::RdbReader::Bytes> chunks;  // grows with what is really there, whatever the number says
  std::vector<std::string_view> views;
  size_t joined_bytes = 0;
  for (uint64_t i = 0; i < *chunk_count; ++i) {
    auto chunk = rdb.String();
    if (!chunk) return damaged;
    views.push_back(chunk->view());
    joined_bytes += views.back().size();
    chunks.push_back(std::move(*chunk));
  }
  if (size_bytes && *size_bytes != joined_bytes) return damaged;
  return Blob::Join(views);
}

Result<Model::Ref> Read(RedisModuleIO* io, int version) {
  redis::RdbReader rdb(io);
  const Error damaged{"the model is damaged"};
  const auto backend = rdb.Number(kBackendNames.size() - 1);
  const auto device_text = rdb.String();
  const auto tag = rdb.String();
  const auto batch_size = rdb.Number(UINT64_MAX);
  const auto min_batch_size = rdb.Number(UINT64_MAX);
  const auto min_batch_timeout_ms = version < kFirstWithBatchTimeout ? 0 : rdb.Number(UINT64_MAX);
  auto input_names = Texts(rdb, version);
  auto output_names = Texts(rdb, version);
  if (!output_names) return damaged;
  // As AI.MODELSTORE has it, which an AOF would be given.
  if ((*batch_size == 0 && *min_batch_size > 0) || (*min_batch_size == 0 && *min_batch_timeout_ms > 0))
    return damaged;
  const auto blob = ReadBlob(rdb, version);
  if (!blob) return blob.error();
  const auto device = LoadDevice(io, "model", Text(device_text->view(), version));
  if (!device) return damaged;

  // RedisAI knew no bounds.
  const auto bounded = [](uint64_t number, uint64_t limit) {
    return static_cast<int64_t>(std::min(number, limit));
  };
  ModelOptions options{.device = *device,
                       .tag = version == 0 ? Text(tag->view(), version) : std::string(tag->view()),
                       .batch_size = bounded(*batch_size, INT64_MAX),
                       .min_batch_size = bounded(*min_batch_size, INT64_MAX),
                       .min_batch_timeout_ms = bounded(*min_batch_timeout_ms, kMaxWaitMs),
                       .backend = static_cast<Backend>(*backend)};
  if (options.backend != Backend::kTorch) {
    options.input_names = std::move(*input_names);
    options.output_names = std::move(*output_names);
  }
  auto program = LoadModel(*blob, options);
  if (!program) {
    redis::LogIOError(io, "warning", "the model under the key '%s' is kept but cannot run here: %s",
                      KeyName(io).c_str(), program.error().text.c_str());
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
  redis::SaveUnsigned(io, static_cast<uint64_t>(options.backend));
  SaveText(io, options.device.text);
  SaveText(io, options.tag);
  redis::SaveUnsigned(io, static_cast<uint64_t>(options.batch_size));
  redis::SaveUnsigned(io, static_cast<uint64_t>(options.min_batch_size));
  redis::SaveUnsigned(io, static_cast<uint64_t>(options.min_batch_timeout_ms));
  for (const auto* names : {&options.input_names, &options.output_names}) {
    redis::SaveUnsigned(io, names->size());
    for (const std::string& name : *names) SaveText(io, name);
  }
  redis::SaveUnsigned(io, model.blob()->view().size());
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
  const auto add = [digest](std::string_view text) {
    redis::DigestAddStringBuffer(digest, text.data(), text.size());
  };
  add(Name(model.options().backend));
  add(model.options().device.text);
  add(model.options().tag);
  for (const auto* names : {&model.options().input_names, &model.options().output_names}) {
    redis::DigestAddLongLong(digest, static_cast<long long>(names->size()));
    for (const std::string& name : *names) add(name);
  }
  redis::DigestAddLongLong(digest, model.options().batch_size);
  redis::DigestAddLongLong(digest, model.options().min_batch_size);
  redis::DigestAddLongLong(digest, model.options().min_batch_timeout_ms);
  add(model.blob()->view());
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
