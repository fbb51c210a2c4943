// Internal to torch/: bounds on a model's archive.
#pragma once

#include <caffe2/serialize/read_adapter_interface.h>

#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace redisai::torch_backend {

// Why the archive is not given to libtorch, if it is not: what it says of sizes is not so, or its code would
// exhaust the compiler. May throw what libtorch throws.
// What is no TorchScript archive at all: a pickle or zip of torch.save, an ONNX file. The error says what is
// wanted and how to make it.
std::optional<Error> CheckKind(std::string_view blob);

std::optional<Error> CheckArchive(const std::shared_ptr<caffe2::serialize::ReadAdapterInterface>& archive);

}  // namespace redisai::torch_backend
