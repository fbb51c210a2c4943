#include "commands/run_syntax.h"

#include <algorithm>

namespace redisai::commands {
namespace {

constexpr std::string_view kListOfTensors = "$";

struct Lists {
  Names inputs;
  Names outputs;
  std::optional<int64_t> timeout_ms;
};

Result<Lists> ParseLists(redis::Args args) {
  Lists lists;
  if (args.TakeWord("TIMEOUT")) {
    const auto timeout_ms = ParseTimeout(args);
    if (!timeout_ms) return timeout_ms.error();
    lists.timeout_ms = *timeout_ms;
  }
  if (args.empty()) return Error{"Insufficient arguments, INPUTS and OUTPUTS not specified"};
  if (!args.TakeWord("INPUTS")) return Error{"INPUTS not specified"};
  redis::Args outputs = args;
  size_t input_count = 0;
  for (; !outputs.TakeWord("OUTPUTS"); ++input_count) {
    if (outputs.empty()) return Error{"OUTPUTS not specified"};
    outputs.NextString();
  }
  lists.inputs = args.Take(input_count);
  lists.outputs = outputs.Take(outputs.size());
  return lists;
}

}  // namespace

Result<ModelCall> ParseModelRun(redis::Args args) {
  if (args.empty()) return Error{"wrong number of arguments for 'AI.MODELRUN' command"};
  RedisModuleString* model = args.NextString();
  const auto lists = ParseLists(args);
  if (!lists) return lists.error();
  return ModelCall{model, lists->inputs, lists->outputs, lists->timeout_ms};
}

Result<ScriptCommand> ParseScriptRun(redis::Args args) {
  if (args.size() < 2) return Error{"wrong number of arguments for 'AI.SCRIPTRUN' command"};
  ScriptCommand command{.script = args.NextString(), .function = args.NextString()};
  const auto lists = ParseLists(args);
  if (!lists) return lists.error();
  const auto is_list = [](const auto* name) { return redis::View(name) == kListOfTensors; };
  const Names inputs = lists->inputs;
  if (std::ranges::count_if(inputs, is_list) > 1) {
    return Error{"Already encountered a variable size list of tensors"};
  }
  const auto list = std::ranges::find_if(inputs, is_list);
  command.inputs = Names(inputs.begin(), list);
  if (list != inputs.end()) command.listed_inputs = Names(list + 1, inputs.end());
  command.outputs = lists->outputs;
  command.timeout_ms = lists->timeout_ms;
  return command;
}

int ReportRunKeys(RedisModuleCtx* ctx, redis::Args args) {
  redis::ReportKey(ctx, args, redis::kReadsKey);
  while (!args.empty() && !args.TakeWord("INPUTS")) args.NextString();
  while (!args.empty() && !args.TakeWord("OUTPUTS")) {
    if (!args.TakeWord(kListOfTensors)) redis::ReportKey(ctx, args, redis::kReadsKey);
  }
  while (!args.empty()) redis::ReportKey(ctx, args, redis::kOverwritesKey);
  return redis::kOk;
}

}  // namespace redisai::commands
