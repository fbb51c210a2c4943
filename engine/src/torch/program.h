// Internal to torch/: makes a runnable program of a TorchScript archive.
#pragma once

#include "base/result.h"
#include "values/blob.h"
#include "values/device.h"
#include "values/model.h"

namespace redisai::torch_backend {

// Reads, freezes and optimises; the device has been checked.
Result<Program::Ref> MakeProgram(const Blob::Ref& blob, const Device& device);

}  // namespace redisai::torch_backend
