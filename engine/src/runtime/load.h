// The one way from bytes to something that runs: what the allow-list refuses, libtorch never sees.
#pragma once

#include <string>

#include "base/result.h"
#include "runtime/allow_list.h"
#include "torch/engine.h"

namespace redisai {

// torch_backend::Load and Compile, of what may run here. Any thread; never throw.
inline Result<Program::Ref> LoadModel(const Blob::Ref& blob, const ModelOptions& options) {
  if (options.backend != Backend::kTorch) {
    return Error{"this model is of the backend " + std::string(Name(options.backend)) +
                 ", and this engine runs TORCH only"};
  }
  if (auto refused = CheckAllowed("model", blob->view())) return *refused;
  return torch_backend::Load(blob, options.device);
}
inline Result<ScriptProgram::Ref> CompileScript(std::string_view source, const ScriptOptions& options) {
  if (auto refused = CheckAllowed("script", source)) return *refused;
  return torch_backend::Compile(source, options);
}

}  // namespace redisai
