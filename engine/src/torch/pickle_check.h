// Internal to torch/: what a pickle of a model's archive claims, before libtorch believes it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace redisai::torch_backend {

// The size in bytes of the record that holds a storage's data, by the storage's key.
using StorageSize = std::function<size_t(const std::string& key)>;

// Why `pickle` is not given to libtorch, if it is not. libtorch takes a storage to be as large as the pickle
// says, however short its record is; it follows nested values by recursion and knows no limit of its own; and
// it makes a table as long as the largest number that a value is remembered under.
std::optional<Error> CheckPickle(std::string_view pickle, const StorageSize& storage_size);

}  // namespace redisai::torch_backend
