// Internal to torch/: turns what libtorch throws into an Error. Nothing it throws may pass this border.
#pragma once

#include <c10/util/Exception.h>

#include <cstdint>
#include <exception>
#include <new>
#include <string>

#include "base/result.h"
#include "base/text.h"

namespace redisai::torch_backend {

enum class Wording : uint8_t { kDoingFirst, kTorchFirst };

// Calls `body`, which returns a Result; an exception becomes an error that begins with `doing`, or with
// libtorch's own text.
template <typename Body>
auto Catching(const std::string& doing, Body&& body, Wording wording = Wording::kDoingFirst) noexcept
    -> decltype(body()) {
  try {
    return body();
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    return Error{OneLine(wording == Wording::kTorchFirst ? text + " (" + doing + ")" : doing + ": " + text)};
  } catch (const std::bad_alloc&) {
    return Error{doing + ": not enough memory"};
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return Error{OneLine(wording == Wording::kTorchFirst ? text + " (" + doing + ")" : doing + ": " + text)};
  } catch (...) {
    return Error{doing + ": unknown exception"};
  }
}

}  // namespace redisai::torch_backend
