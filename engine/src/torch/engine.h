// What the rest of the engine asks of libtorch, without its headers.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "values/blob.h"
#include "values/device.h"
#include "values/model.h"
#include "values/script.h"

namespace redisai::torch_backend {

// Sets the process-wide thread counts and the way TorchScript runs. Once, before any thread of ours exists.
void Setup(int intra_op_threads, int inter_op_threads);
// Sets this thread's share; each worker calls it when it starts.
void SetupThread();

std::string Version();

// Whether anything was loaded, or MarkInUse called: AI.CONFIG LOADBACKEND.
bool InUse();
void MarkInUse();

// The programs that models use now, for INFO.
struct LoadedPrograms {
  int64_t count = 0;
  int64_t blob_bytes = 0;
  int64_t parameter_bytes = 0;
};
LoadedPrograms CountLoaded();

// Whether models can run on `device` here; the error says why not.
Result<std::monostate> CheckDevice(const Device& device);

// Loads a TorchScript archive for `device`: frozen and optimised for inference. Equal blobs on one device
// share one program for as long as a model uses it. Takes milliseconds; never throws.
Result<Program::Ref> Load(const Blob::Ref& blob, const Device& device);

// Compiles TorchScript source for `device` and checks the signatures of its entry points. Takes milliseconds;
// never throws.
Result<ScriptProgram::Ref> Compile(std::string_view source, const ScriptOptions& options);

}  // namespace redisai::torch_backend
