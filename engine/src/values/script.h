// A script as a key holds it: TorchScript source with entry points, the compiled program, and counters of its
// runs. Also what a running script may ask of the server.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "values/blob.h"
#include "values/device.h"
#include "values/stats.h"
#include "values/tensor.h"

namespace redisai {

// A Redis command's reply, as a script sees it.
struct ScriptReply {
  using List = std::vector<ScriptReply>;
  std::variant<std::monostate, int64_t, double, std::string, List> value;
};

// What a script asks of the server while it runs; implemented in commands/. Called on the thread that runs
// the script. Neither throws.
class ScriptHost {
 public:
  virtual ~ScriptHost() = default;
  // A Redis command, its name first.
  virtual Result<ScriptReply> Execute(const std::vector<std::string>& arguments) = 0;
  // Runs the model under `key`.
  virtual Result<std::vector<TensorRef>> ExecuteModel(std::string_view key, std::span<const TensorRef> inputs,
                                                      size_t output_count) = 0;
};

// One call of a function, beside its tensors.
struct ScriptCall {
  std::string function;
  std::vector<std::string> keys;
  std::vector<std::string> arguments;
  // Where given, the tensors from this one on are one parameter, a list.
  std::optional<size_t> list_from;
};

// A compiled script that can run, on any thread and on several at once. Implemented in torch/.
class ScriptProgram {
 public:
  using Ref = std::shared_ptr<const ScriptProgram>;
  virtual ~ScriptProgram() = default;

  virtual bool Has(const std::string& function) const = 0;
  // Calls an entry point with tensors, keys and arguments, any other function with the tensors alone, each a
  // parameter but for those of a list. A tuple or list in the result is flattened one level, None is no
  // tensor. Never throws.
  virtual Result<std::vector<TensorRef>> Run(const ScriptCall& call, std::span<const TensorRef> inputs,
                                             ScriptHost& host) const = 0;
};

struct ScriptOptions {
  Device device;
  std::string tag;
  std::vector<std::string> entry_points;
};

class Script {
 public:
  using Ref = std::shared_ptr<const Script>;

  // `program` may be an error: a script restored on a machine that cannot compile it keeps its source and
  // answers each run with that error.
  Script(ScriptOptions options, Blob::Ref source, Result<ScriptProgram::Ref> program)
      : options_(std::move(options)), source_(std::move(source)), program_(std::move(program)) {
    ++live_count_;
  }
  ~Script() { --live_count_; }
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;

  // For INFO: how many there are, and the calls of all since the server started.
  static int64_t LiveCount() { return live_count_; }
  static RunStats& TotalStats() { return total_stats_; }

  const ScriptOptions& options() const { return options_; }
  const Blob::Ref& source() const { return source_; }
  const Result<ScriptProgram::Ref>& program() const { return program_; }
  RunStats& stats() const { return stats_; }

 private:
  static inline std::atomic<int64_t> live_count_ = 0;
  static inline RunStats total_stats_;

  const ScriptOptions options_;
  const Blob::Ref source_;
  const Result<ScriptProgram::Ref> program_;
  mutable RunStats stats_{.samples = RunStats::kNoSamples};
};

}  // namespace redisai
