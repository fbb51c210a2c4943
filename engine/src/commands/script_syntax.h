// `script function [KEYS n k…] [INPUTS n t…] [ARGS n a…] [OUTPUTS n o…] [TIMEOUT ms]`, as AI.SCRIPTEXECUTE
// and its operation in a DAG share it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "commands/model_syntax.h"
#include "redis/args.h"
#include "values/script.h"

namespace redisai::commands {

struct ScriptCommand {
  RedisModuleString* script;
  RedisModuleString* function;
  std::optional<Names> keys;
  std::optional<Names> inputs;
  std::optional<Names> arguments;
  std::optional<Names> outputs;
  std::optional<int64_t> timeout_ms;

  ScriptCall call() const;
};

// In any order; each at most once.
Result<ScriptCommand> ParseScriptCommand(redis::Args args);

}  // namespace redisai::commands
