// What was set when the module was loaded and with AI.CONFIG. Main thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace redisai {

struct Settings {
  // Arguments of the module.
  int64_t threads_per_queue = 1;
  int64_t intra_op_threads = 1;
  int64_t inter_op_threads = 1;
  // Of RedisAI's other backends; kept and shown.
  int64_t model_execution_timeout_ms = 5000;
  int64_t backend_memory_limit_mb = 0;

  // AI.CONFIG.
  std::optional<std::string> backends_path;                // kept and shown: our backend is built in
  int64_t model_chunk_bytes = int64_t{511} * 1024 * 1024;  // AI.MODELGET gives larger blobs in chunks
};

Settings& GetSettings();

}  // namespace redisai
