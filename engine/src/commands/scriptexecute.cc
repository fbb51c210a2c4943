// AI.SCRIPTEXECUTE key function [KEYS n k…] [INPUTS n t…] [ARGS n a…] [OUTPUTS n o…] [TIMEOUT ms]

#include "commands/scriptexecute.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/text.h"
#include "commands/execute.h"
#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "commands/script_host.h"
#include "commands/script_syntax.h"
#include "redis/reply.h"

namespace redisai::commands {
namespace {

// For COMMAND GETKEYS and the cluster: the script, KEYS, INPUTS and OUTPUTS. Whatever cannot be parsed has no
// keys.
int ReportKeys(RedisModuleCtx* ctx, redis::Args args) {
  redis::ReportKey(ctx, args, redis::kReadsKey);
  args.NextString();
  // What a script does with KEYS is held against the user's rights command by command.
  constexpr std::array kLists = {std::pair("KEYS", redis::kRoutesByKey),
                                 std::pair("INPUTS", redis::kReadsKey),
                                 std::pair("OUTPUTS", redis::kOverwritesKey)};
  while (!args.empty()) {
    const auto list =
        std::ranges::find_if(kLists, [&](const auto& each) { return args.TakeWord(each.first); });
    if (list == kLists.end() && !args.TakeWord("ARGS")) return redis::kOk;
    const auto count = args.NextNumber<int64_t>();
    if (!count || *count < 0 || static_cast<uint64_t>(*count) > args.size()) return redis::kOk;
    if (list == kLists.end()) {
      args.Take(static_cast<size_t>(*count));
      continue;
    }
    for (int64_t i = 0; i < *count; ++i) redis::ReportKey(ctx, args, list->second);
  }
  return redis::kOk;
}

Result<ScriptCommand> Parse(redis::Args args) {
  redis::Args rest = args;
  rest.Take(2);
  if (!rest.TakeWord("KEYS") && !rest.TakeWord("INPUTS")) {
    return Error{"KEYS or INPUTS scope must be provided first for AI.SCRIPTEXECUTE command"};
  }
  return ParseScriptCommand(args);
}

Result<Prepared> Prepare(RedisModuleCtx* ctx, const ScriptCommand& command) {
  auto script = ReadScript(ctx, command.script);
  if (!script) return script.error();
  const auto& program = (*script)->program();
  if (const std::string function(redis::View(command.function)); program && !(*program)->Has(function)) {
    return Error{"Function " + OneLine(function) + " does not exist in the given script."};
  }
  Prepared prepared;
  for (const auto& inputs : {command.inputs, command.listed_inputs}) {
    if (auto error = LoadInputs(ctx, prepared.graph, inputs.value_or(Names{}))) return *error;
  }
  ScriptWork work{std::move(*script), command.call(),
                  MakeScriptHost(redis::Caller::Of(ctx), command.script, /*read_only=*/false)};
  if (auto error = prepared.graph.AddScript(std::move(work), command.input_names(), command.output_names())) {
    return *error;
  }
  if (auto error = KeepOutputs(ctx, prepared, command.outputs.value_or(Names{}))) return *error;
  return prepared;
}

}  // namespace

int RunScriptCommand(RedisModuleCtx* ctx, const ScriptCommand& command) {
  auto prepared = Prepare(ctx, command);
  if (!prepared) return redis::ReplyError(ctx, prepared.error());
  return Execute(ctx, std::move(*prepared), command.timeout_ms);
}

int ScriptExecute(RedisModuleCtx* ctx, redis::Args args) {
  if (redis::IsKeysPositionRequest(ctx)) return ReportKeys(ctx, args);
  const auto command = Parse(args);
  if (!command) return redis::ReplyError(ctx, command.error());
  return RunScriptCommand(ctx, *command);
}

}  // namespace redisai::commands
