// Internal to torch/: turns what libtorch throws into an Error. Nothing it throws may pass this border.
#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <string>

#include "base/result.h"
#include "base/text.h"

namespace redisai::torch_backend {

// Calls `body`, which returns a Result; an exception becomes an error that begins with `doing`.
template <typename Body>
auto Catching(const std::string& doing, Body&& body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (const c10::Error& error) {
    return Error{OneLine(doing + ": " + error.what_without_backtrace())};
  } catch (const std::bad_alloc&) {
    return Error{doing + ": not enough memory"};
  } catch (const std::exception& error) {
    return Error{OneLine(doing + ": " + error.what())};
  } catch (...) {
    return Error{doing + ": unknown exception"};
  }
}

}  // namespace redisai::torch_backend
