// How a run of a model is written, as commands and their operations in a DAG share it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "redis/api.h"
#include "redis/args.h"

namespace redisai::commands {

using Names = std::span<RedisModuleString* const>;

struct ModelCall {
  RedisModuleString* model;
  Names inputs;
  Names outputs;
  std::optional<int64_t> timeout_ms;
};

// AI.MODELEXECUTE: `model INPUTS n in… OUTPUTS n out… [TIMEOUT ms]`.
Result<ModelCall> ParseModelCall(redis::Args args);

// The number after TIMEOUT.
Result<int64_t> ParseTimeout(redis::Args& args);

std::vector<std::string_view> Views(Names names);

}  // namespace redisai::commands
