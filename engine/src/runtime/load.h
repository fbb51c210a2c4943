// The one way from bytes to something that runs: what the allow-list refuses, libtorch never sees.
#pragma once

#include "base/result.h"
#include "runtime/allow_list.h"
#include "torch/engine.h"

namespace redisai {

// torch_backend::Load and Compile, of what may run here. Any thread; never throw.
inline Result<Program::Ref> LoadModel(const Blob::Ref& blob, const Device& device) {
  if (auto refused = CheckAllowed("model", blob->view())) return *refused;
  return torch_backend::Load(blob, device);
}
inline Result<ScriptProgram::Ref> CompileScript(std::string_view source, const ScriptOptions& options) {
  if (auto refused = CheckAllowed("script", source)) return *refused;
  return torch_backend::Compile(source, options);
}

}  // namespace redisai
