#include "persist/arguments.h"

#include <algorithm>
#include <utility>

namespace redisai::persist {

std::vector<std::string_view> Chunks(std::string_view blob, size_t chunk_bytes) {
  std::vector<std::string_view> chunks;
  do {
    chunks.push_back(blob.substr(0, chunk_bytes));
    blob.remove_prefix(chunks.back().size());
  } while (!blob.empty());
  return chunks;
}

std::vector<redis::String> DimArguments(const Tensor& tensor) {
  std::vector<redis::String> arguments;
  for (const int64_t dim : tensor.dims()) arguments.emplace_back(std::to_string(dim));
  return arguments;
}

std::vector<redis::String> ModelArguments(const Model& model) {
  const ModelOptions& options = model.options();
  std::vector<redis::String> arguments;
  const auto add = [&arguments](std::string_view word, std::string_view value) {
    arguments.emplace_back(word);
    arguments.emplace_back(value);
  };
  add(Name(options.backend), options.device.text);
  if (!options.tag.empty()) add("TAG", options.tag);
  if (options.batch_size > 0) add("BATCHSIZE", std::to_string(options.batch_size));
  if (options.min_batch_size > 0) add("MINBATCHSIZE", std::to_string(options.min_batch_size));
  if (options.min_batch_timeout_ms > 0) add("MINBATCHTIMEOUT", std::to_string(options.min_batch_timeout_ms));
  if (options.backend != Backend::kTorch) {
    for (const auto& [word, names] :
         {std::pair("INPUTS", &options.input_names), std::pair("OUTPUTS", &options.output_names)}) {
      if (names->empty()) continue;
      add(word, std::to_string(names->size()));
      for (const std::string& name : *names) arguments.emplace_back(name);
    }
  }
  arguments.emplace_back("BLOB");
  for (const auto chunk : Chunks(model.blob()->view())) arguments.emplace_back(chunk);
  return arguments;
}

std::vector<redis::String> ScriptArguments(const Script& script) {
  const ScriptOptions& options = script.options();
  std::vector<redis::String> arguments;
  const auto add = [&arguments](std::string_view word, std::string_view value) {
    arguments.emplace_back(word);
    arguments.emplace_back(value);
  };
  arguments.emplace_back(options.device.text);
  if (!options.tag.empty()) add("TAG", options.tag);
  add("ENTRY_POINTS", std::to_string(options.entry_points.size()));
  for (const std::string& name : options.entry_points) arguments.emplace_back(name);
  add("SOURCE", script.source()->view());
  return arguments;
}

void ReplicateTensor(RedisModuleCtx* ctx, RedisModuleString* key, const Tensor& tensor) {
  const auto strings = DimArguments(tensor);
  auto dims = redis::Pointers(strings);
  redis::Replicate(ctx, "AI.TENSORSET", "scvcb", key, Name(tensor.dtype()).data(), dims.data(), dims.size(),
                   "BLOB", tensor.data(), tensor.size_bytes());
}

void ReplicateModel(RedisModuleCtx* ctx, RedisModuleString* key, const Model& model) {
  const auto strings = ModelArguments(model);
  auto arguments = redis::Pointers(strings);
  redis::Replicate(ctx, "AI.MODELSTORE", "sv", key, arguments.data(), arguments.size());
}

void ReplicateScript(RedisModuleCtx* ctx, RedisModuleString* key, const Script& script) {
  const auto strings = ScriptArguments(script);
  auto arguments = redis::Pointers(strings);
  redis::Replicate(ctx, "AI.SCRIPTSTORE", "sv", key, arguments.data(), arguments.size());
}

}  // namespace redisai::persist
