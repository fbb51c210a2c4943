// A model as a key holds it: what the caller gave, the loaded program, and counters of its runs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "values/backend.h"
#include "values/blob.h"
#include "values/device.h"
#include "values/run_costs.h"
#include "values/stats.h"
#include "values/tensor.h"

namespace redisai {

// A loaded model that can run, on any thread and on several at once. Implemented in torch/.
class Program {
 public:
  using Ref = std::shared_ptr<const Program>;
  virtual ~Program() = default;

  // Runs `inputs` through the model; a tuple in the result is flattened one level. Never throws.
  virtual Result<std::vector<TensorRef>> Run(std::span<const TensorRef> inputs) const = 0;

  virtual const std::vector<std::string>& input_names() const = 0;
  // Inputs after these have default values.
  virtual size_t required_input_count() const = 0;
  // How many tensors a run gives, where the model's signature says so.
  virtual std::optional<size_t> output_count() const = 0;
  virtual size_t parameter_bytes() const = 0;
  // The archive it was loaded from.
  virtual const Blob::Ref& blob() const = 0;
};

struct ModelOptions {
  Device device;
  std::string tag;
  int64_t batch_size = 0;
  int64_t min_batch_size = 0;
  int64_t min_batch_timeout_ms = 0;
  Backend backend = Backend::kTorch;
  // Of other backends than TORCH, whose models say it themselves.
  std::vector<std::string> input_names = {};
  std::vector<std::string> output_names = {};
};

class Model {
 public:
  using Ref = std::shared_ptr<const Model>;

  // `program` may be an error: a model restored on a machine that cannot run it keeps its bytes and its name,
  // and answers each run with that error. Otherwise the program's copy of the bytes is kept, which equal
  // models share.
  Model(ModelOptions options, Blob::Ref blob, Result<Program::Ref> program)
      : options_(std::move(options)),
        blob_(program ? (*program)->blob() : std::move(blob)),
        program_(std::move(program)) {
    ++live_count_;
  }
  ~Model() { --live_count_; }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // For INFO: how many there are, and the runs of all since the server started.
  static int64_t LiveCount() { return live_count_; }
  static RunStats& TotalStats() { return total_stats_; }
  // Of those, the ones that ran on the main thread though their client could have waited.
  static std::atomic<int64_t>& TotalInlineCalls() { return total_inline_calls_; }

  const ModelOptions& options() const { return options_; }
  const Blob::Ref& blob() const { return blob_; }
  const Result<Program::Ref>& program() const { return program_; }
  RunStats& stats() const { return stats_; }
  RunCosts& costs() const { return costs_; }

 private:
  static inline std::atomic<int64_t> live_count_ = 0;
  static inline RunStats total_stats_;
  static inline std::atomic<int64_t> total_inline_calls_ = 0;

  const ModelOptions options_;
  const Blob::Ref blob_;
  const Result<Program::Ref> program_;
  mutable RunStats stats_;
  mutable RunCosts costs_;
};

}  // namespace redisai
