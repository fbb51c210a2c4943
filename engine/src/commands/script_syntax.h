// `script function [KEYS n k…] [INPUTS n t…] [ARGS n a…] [OUTPUTS n o…] [TIMEOUT ms]`, as AI.SCRIPTEXECUTE
// and its operation in a DAG share it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "commands/model_syntax.h"
#include "redis/args.h"
#include "values/script.h"

namespace redisai::commands {

struct ScriptCommand {
  RedisModuleString* script = nullptr;
  RedisModuleString* function = nullptr;
  std::optional<Names> keys = std::nullopt;
  std::optional<Names> inputs = std::nullopt;
  std::optional<Names> arguments = std::nullopt;
  std::optional<Names> outputs = std::nullopt;
  std::optional<int64_t> timeout_ms = std::nullopt;
  // More inputs, which go to the function as one list; of AI.SCRIPTRUN alone.
  std::optional<Names> listed_inputs = std::nullopt;

  ScriptCall call() const;
  std::vector<std::string_view> input_names() const;
  std::vector<std::string_view> output_names() const { return Views(outputs.value_or(Names{})); }
};

// In any order; each at most once.
Result<ScriptCommand> ParseScriptCommand(redis::Args args);

}  // namespace redisai::commands
