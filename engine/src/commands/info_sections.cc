// INFO's sections: first those that RedisAI has, in its order, then ours. The server puts `ai_` before the
// names of sections and fields.

#include "commands/info_sections.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "persist/types.h"
#include "redis/guard.h"
#include "runtime/devices.h"
#include "runtime/settings.h"
#include "torch/engine.h"
#include "values/model.h"
#include "values/script.h"

namespace redisai::commands {
namespace {

// The RedisAI whose interface this is; programs ask for it.
constexpr char kRedisAiVersion[] = "1.2.7";

void Add(RedisModuleInfoCtx* info, const std::string& name, int64_t value) {
  redis::InfoAddFieldLongLong(info, name.c_str(), value);
}
void Add(RedisModuleInfoCtx* info, const std::string& name, const std::string& value) {
  redis::InfoAddFieldCString(info, name.c_str(), value.c_str());
}

// As the server's own INFO prints processor time.
std::string Seconds(double seconds) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.6f", seconds);
  return text.data();
}
std::string Seconds(const timeval& time) {
  return Seconds(static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6);
}

// A queue's name as a part of a field's name, where a colon would end it.
std::string FieldName(std::string queue_name) {
  std::replace(queue_name.begin(), queue_name.end(), ':', '_');
  return queue_name;
}

void AddVersions(RedisModuleInfoCtx* info) {
  redis::InfoAddSection(info, "versions");
  Add(info, "RedisAI_version", kRedisAiVersion);
  Add(info, "low_level_API_version", redis::kApiVersion);
  Add(info, "rdb_version", persist::kEncodingVersion);
  redis::InfoAddSection(info, "git");
  Add(info, "git_sha", REDISAI_GIT_SHA);
}

void AddSettings(RedisModuleInfoCtx* info) {
  const Settings& settings = GetSettings();
  redis::InfoAddSection(info, "load_time_configs");
  Add(info, "threads_per_queue", settings.threads_per_queue);
  Add(info, "inter_op_parallelism", settings.inter_op_threads);
  Add(info, "intra_op_parallelism", settings.intra_op_threads);
  Add(info, "model_execution_timeout", settings.model_execution_timeout_ms);
  Add(info, "backend_memory_limit", settings.backend_memory_limit_mb);
  redis::InfoAddSection(info, "backends_info");
  if (torch_backend::InUse()) Add(info, "Torch_version", torch_backend::Version());
}

void AddProcessorTime(RedisModuleInfoCtx* info, const std::vector<QueueState>& queues) {
  redis::InfoAddSection(info, "cpu");
  for (const auto& [who, name] : {std::pair(RUSAGE_SELF, "self"), std::pair(RUSAGE_CHILDREN, "children")}) {
    rusage usage{};
    getrusage(who, &usage);
    Add(info, std::string(name) + "_used_cpu_sys", Seconds(usage.ru_stime));
    Add(info, std::string(name) + "_used_cpu_user", Seconds(usage.ru_utime));
  }
  for (const QueueState& queue : queues) {
    for (size_t i = 0; i < queue.worker_cpu_seconds.size(); ++i) {
      const std::string worker = "queue_" + FieldName(queue.name) + "_bthread_n" + std::to_string(i + 1);
      Add(info, worker + "_used_cpu_total", Seconds(queue.worker_cpu_seconds[i]));
    }
  }
}

void AddModels(RedisModuleInfoCtx* info) {
  redis::InfoAddSection(info, "models");
  Add(info, "models", Model::LiveCount());
  Add(info, "scripts", Script::LiveCount());
  const torch_backend::LoadedPrograms loaded = torch_backend::CountLoaded();
  Add(info, "programs", loaded.count);  // models of equal blobs share one
  Add(info, "blob_bytes", loaded.blob_bytes);
  Add(info, "parameter_bytes", loaded.parameter_bytes);
}

void AddWork(RedisModuleInfoCtx* info, const std::vector<QueueState>& queues) {
  redis::InfoAddSection(info, "queues");
  for (const QueueState& queue : queues) {
    Add(info, "queue_" + FieldName(queue.name) + "_waiting", static_cast<int64_t>(queue.waiting));
  }
  redis::InfoAddSection(info, "runs");
  const RunStats& models = Model::TotalStats();
  Add(info, "model_calls", models.calls);
  Add(info, "model_inline_calls", Model::TotalInlineCalls());
  Add(info, "model_errors", models.errors);
  Add(info, "model_samples", models.samples);
  Add(info, "model_duration_us", models.duration_us);
  const RunStats& scripts = Script::TotalStats();
  Add(info, "script_calls", scripts.calls);
  Add(info, "script_errors", scripts.errors);
  Add(info, "script_duration_us", scripts.duration_us);
}

void AddSections(RedisModuleInfoCtx* info, int for_crash_report) noexcept {
  redis::Guarded<int>(0, [&] {
    AddVersions(info);
    AddSettings(info);
    if (for_crash_report) return 0;  // the thread that crashed may hold the locks of what follows
    const auto queues = QueueStates();
    AddProcessorTime(info, queues);
    AddModels(info);
    AddWork(info, queues);
    return 0;
  });
}

}  // namespace

bool RegisterInfoSections(RedisModuleCtx* ctx) {
  return redis::RegisterInfoFunc(ctx, AddSections) == redis::kOk;
}

}  // namespace redisai::commands
