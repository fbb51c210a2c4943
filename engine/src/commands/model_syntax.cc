#include "commands/model_syntax.h"

#include <string>

#include "base/limits.h"

namespace redisai::commands {
namespace {

// How the two lists differ in the error texts that clients know.
struct ListWords {
  const char* keyword;   // INPUTS
  const char* argument;  // input_count
  const char* subject;   // Input
};
constexpr ListWords kInputs = {"INPUTS", "input_count", "Input"};
constexpr ListWords kOutputs = {"OUTPUTS", "output_count", "Output"};

Result<Names> ParseNames(redis::Args& args, const ListWords& words) {
  if (!args.TakeWord(words.keyword)) return Error{std::string(words.keyword) + " not specified"};
  const auto count = args.NextNumber<int64_t>();
  if (!count) return Error{std::string("Invalid argument for ") + words.argument};
  if (*count <= 0) return Error{std::string(words.subject) + " count must be a positive integer"};
  if (static_cast<uint64_t>(*count) > args.size()) {
    return Error{std::string("Number of keys given as ") + words.keyword +
                 " here does not match the number of given arguments"};
  }
  return args.Take(static_cast<size_t>(*count));
}

}  // namespace

Result<int64_t> ParseTimeout(redis::Args& args) {
  if (args.empty()) return Error{"No value provided for TIMEOUT"};
  const auto timeout_ms = args.NextNumber<int64_t>();
  if (!timeout_ms || *timeout_ms <= 0 || *timeout_ms > kMaxWaitMs) return Error{"Invalid value for TIMEOUT"};
  return *timeout_ms;
}

Result<ModelCall> ParseModelCall(redis::Args args) {
  if (args.empty()) return Error{"wrong number of arguments for 'AI.MODELEXECUTE' command"};
  ModelCall call{args.NextString(), {}, {}, std::nullopt};
  const auto inputs = ParseNames(args, kInputs);
  if (!inputs) return inputs.error();
  call.inputs = *inputs;
  const auto outputs = ParseNames(args, kOutputs);
  if (!outputs) return outputs.error();
  call.outputs = *outputs;
  if (args.TakeWord("TIMEOUT")) {
    const auto timeout_ms = ParseTimeout(args);
    if (!timeout_ms) return timeout_ms.error();
    call.timeout_ms = *timeout_ms;
  }
  if (!args.empty()) return Error{"Invalid argument: " + OneLine(args.Peek())};
  return call;
}

std::vector<std::string_view> Views(Names names) {
  std::vector<std::string_view> views;
  views.reserve(names.size());
  for (const auto* name : names) views.push_back(redis::View(name));
  return views;
}

}  // namespace redisai::commands
