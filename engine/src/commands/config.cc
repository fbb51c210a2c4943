// AI.CONFIG GET name | BACKENDSPATH path | MODEL_CHUNK_SIZE bytes | LOADBACKEND backend path
//
// BACKENDSPATH and LOADBACKEND are for programs that expect them: the one backend is built in.

#include <dlfcn.h>

#include <filesystem>
#include <string>

#include "commands/handlers.h"
#include "redis/reply.h"
#include "runtime/settings.h"
#include "torch/engine.h"

namespace redisai::commands {
namespace {

// The folder beside the module, which RedisAI's backends are in; empty where the loader does not know.
std::string DefaultBackendsPath() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&Config), &info) == 0 || !info.dli_fname) return "";
  return std::filesystem::path(info.dli_fname).parent_path() / "backends";
}

int Get(RedisModuleCtx* ctx, redis::Args args) {
  if (args.size() != 1) return redis::WrongArity(ctx);
  const Settings& settings = GetSettings();
  if (args.TakeWord("MODEL_CHUNK_SIZE")) return redis::ReplyWithLongLong(ctx, settings.model_chunk_bytes);
  if (args.TakeWord("BACKENDSPATH"))
    return redis::Reply(ctx, settings.backends_path ? *settings.backends_path : DefaultBackendsPath());
  return redis::ReplyWithNull(ctx);
}

int SetBackendsPath(RedisModuleCtx* ctx, redis::Args args) {
  if (args.empty()) return redis::ReplyError(ctx, Error{"BACKENDSPATH: missing path argument"});
  if (args.size() != 1) return redis::WrongArity(ctx);
  GetSettings().backends_path = args.Next();
  return redis::ReplyOk(ctx);
}

int SetModelChunkSize(RedisModuleCtx* ctx, redis::Args args) {
  if (args.empty()) return redis::ReplyError(ctx, Error{"MODEL_CHUNK_SIZE: missing chunk size"});
  if (args.size() != 1) return redis::WrongArity(ctx);
  const auto size_bytes = args.NextNumber<int64_t>();
  if (!size_bytes || *size_bytes <= 0)
    return redis::ReplyError(ctx, Error{"MODEL_CHUNK_SIZE: invalid chunk size"});
  GetSettings().model_chunk_bytes = *size_bytes;
  return redis::ReplyOk(ctx);
}

int LoadBackend(RedisModuleCtx* ctx, redis::Args args) {
  if (args.size() != 2) return redis::WrongArity(ctx);
  if (!args.TakeWord("TORCH")) return redis::ReplyError(ctx, Error{"unsupported backend"});
  if (!args.Next().ends_with(".so")) return redis::ReplyError(ctx, Error{"error loading backend"});
  torch_backend::MarkInUse();
  return redis::ReplyOk(ctx);
}

}  // namespace

int Config(RedisModuleCtx* ctx, redis::Args args) {
  if (args.TakeWord("GET")) return Get(ctx, args);
  if (args.TakeWord("BACKENDSPATH")) return SetBackendsPath(ctx, args);
  if (args.TakeWord("MODEL_CHUNK_SIZE")) return SetModelChunkSize(ctx, args);
  if (args.TakeWord("LOADBACKEND")) return LoadBackend(ctx, args);
  return redis::ReplyError(ctx, Error{"unsupported subcommand"});
}

}  // namespace redisai::commands
