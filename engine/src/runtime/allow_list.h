// Which models and scripts may run here: those whose bytes have one of the SHA-256 digests of a list, or all
// while there is no list.
//
// Threads: the main thread sets the list, any thread asks; a lock guards the reference to it.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"

namespace redisai {

// Replaces the list: digests in hexadecimal, parted by spaces or commas; an empty text is no list. A text
// that cannot be read changes nothing.
std::optional<Error> SetAllowList(std::string_view text);

// Why the bytes of `what`, a model or a script, may not be loaded. Without a list they are not hashed; with
// one that takes some milliseconds per MB.
std::optional<Error> CheckAllowed(const char* what, std::string_view bytes);

}  // namespace redisai
