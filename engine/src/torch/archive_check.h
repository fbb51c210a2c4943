// Internal to torch/: bounds on a model's archive.
#pragma once

#include <caffe2/serialize/read_adapter_interface.h>

#include <memory>
#include <optional>

#include "base/result.h"

namespace redisai::torch_backend {

// Why the archive is not given to libtorch, if it is not: what it says of sizes is not so, or its code would
// exhaust the compiler. May throw what libtorch throws.
std::optional<Error> CheckArchive(const std::shared_ptr<caffe2::serialize::ReadAdapterInterface>& archive);

}  // namespace redisai::torch_backend
