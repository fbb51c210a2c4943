// The engine's settings: what was set when the module was loaded, with CONFIG and with AI.CONFIG. Numbers are
// read on any thread and set on the main thread; commands/configuration.cc names them to the server.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

namespace redisai {

using NumberSetting = std::atomic<int64_t>;

struct Settings {
  NumberSetting threads_per_queue = 1;
  NumberSetting intra_op_threads = 1;
  NumberSetting inter_op_threads = 1;
  // Of RedisAI's other backends; kept and shown.
  NumberSetting model_execution_timeout_ms = 5000;
  NumberSetting backend_memory_limit_mb = 0;

  // AI.MODELGET gives larger blobs in chunks.
  NumberSetting model_chunk_bytes = int64_t{511} * 1024 * 1024;
  // How long requests wait for company where a model has a least batch size and no timeout of its own.
  NumberSetting max_batch_wait_ms = 1000;
  // A client's model that is expected to take no longer runs on the main thread; 0: none does.
  NumberSetting inline_run_limit_us = 100;

  // AI.CONFIG alone; main thread only. Kept and shown: our backend is built in.
  std::optional<std::string> backends_path;
};

Settings& GetSettings();

}  // namespace redisai
