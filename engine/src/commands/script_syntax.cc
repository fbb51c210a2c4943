#include "commands/script_syntax.h"

#include <array>
#include <string>

namespace redisai::commands {
namespace {

// One of the lists, and how its errors are worded.
struct ListWords {
  const char* keyword;
  std::optional<Names> ScriptCommand::* list;
  const char* nothing;
  const char* bad_count;
  const char* too_few;
};
constexpr const char* kInvalid = "Invalid arguments provided to AI.SCRIPTEXECUTE";
constexpr std::array kLists = {
    ListWords{"KEYS", &ScriptCommand::keys, "Missing arguments after KEYS keyword",
              "Invalid or negative value found in number of KEYS",
              "Number of pre declared KEYS to be used in the command does not match the number of given "
              "arguments"},
    ListWords{"INPUTS", &ScriptCommand::inputs, kInvalid,
              "Invalid argument for inputs count in AI.SCRIPTEXECUTE", kInvalid},
    ListWords{"ARGS", &ScriptCommand::arguments, kInvalid,
              "Invalid argument for args count in AI.SCRIPTEXECUTE", kInvalid},
    ListWords{"OUTPUTS", &ScriptCommand::outputs, kInvalid,
              "Invalid argument for outputs count in AI.SCRIPTEXECUTE", kInvalid},
};

Result<Names> ParseList(redis::Args& args, const ListWords& words) {
  if (args.empty()) return Error{words.nothing};
  const auto count = args.NextNumber<int64_t>();
  if (!count || *count < 0) return Error{words.bad_count};
  if (static_cast<uint64_t>(*count) > args.size()) return Error{words.too_few};
  return args.Take(static_cast<size_t>(*count));
}

std::vector<std::string> Strings(const std::optional<Names>& names) {
  std::vector<std::string> strings;
  for (const auto* name : names.value_or(Names{})) strings.emplace_back(redis::View(name));
  return strings;
}

// Whether one of the lists came next; an error when it did and is wrong.
Result<bool> TakeList(redis::Args& args, ScriptCommand& command) {
  for (const ListWords& words : kLists) {
    if (command.*words.list || !args.TakeWord(words.keyword)) continue;
    const auto list = ParseList(args, words);
    if (!list) return list.error();
    command.*words.list = *list;
    return true;
  }
  return false;
}

}  // namespace

ScriptCall ScriptCommand::call() const {
  ScriptCall call{std::string(redis::View(function)), Strings(keys), Strings(arguments), std::nullopt};
  if (listed_inputs) call.list_from = inputs.value_or(Names{}).size();
  return call;
}

std::vector<std::string_view> ScriptCommand::input_names() const {
  auto names = Views(inputs.value_or(Names{}));
  const auto listed = Views(listed_inputs.value_or(Names{}));
  names.insert(names.end(), listed.begin(), listed.end());
  return names;
}

Result<ScriptCommand> ParseScriptCommand(redis::Args args) {
  if (args.size() < 2) return Error{"wrong number of arguments for 'AI.SCRIPTEXECUTE' command"};
  ScriptCommand command{.script = args.NextString(), .function = args.NextString()};
  while (!args.empty()) {
    const auto taken = TakeList(args, command);
    if (!taken) return taken.error();
    if (*taken) continue;
    if (command.timeout_ms || !args.TakeWord("TIMEOUT")) {
      return Error{"Invalid AI.SCRIPTEXECUTE command. Unexpected argument: " + OneLine(args.Peek())};
    }
    if (args.empty()) return Error{"No value provided for TIMEOUT in AI.SCRIPTEXECUTE"};
    const auto timeout_ms = ParseTimeout(args);
    if (!timeout_ms) return timeout_ms.error();
    command.timeout_ms = *timeout_ms;
  }
  return command;
}

}  // namespace redisai::commands
