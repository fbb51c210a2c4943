#include "runtime/allow_list.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/sha256.h"
#include "base/text.h"

namespace redisai {
namespace {

using AllowList = std::set<std::string>;  // digests in lower case

constexpr size_t kDigits = 2 * std::tuple_size_v<Sha256Digest>;

std::mutex list_mutex;
std::shared_ptr<const AllowList> list;  // null while there is none

std::optional<std::string> ParseDigest(std::string_view text) {
  if (text.size() != kDigits) return std::nullopt;
  std::string digest(text);
  for (char& c : digest) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) return std::nullopt;
  }
  return digest;
}

}  // namespace

std::optional<Error> SetAllowList(std::string_view text) {
  AllowList digests;
  while (!text.empty()) {
    const size_t size = std::min(text.find_first_of(" ,"), text.size());
    if (size > 0) {
      const auto digest = ParseDigest(text.substr(0, size));
      if (!digest) {
        return Error{"a SHA-256 digest is " + std::to_string(kDigits) +
                     " hexadecimal digits, not: " + OneLine(text.substr(0, size))};
      }
      digests.insert(*digest);
    }
    text.remove_prefix(std::min(size + 1, text.size()));
  }
  auto replacement = digests.empty() ? nullptr : std::make_shared<const AllowList>(std::move(digests));
  const std::lock_guard lock(list_mutex);
  list = std::move(replacement);
  return std::nullopt;
}

std::optional<Error> CheckAllowed(const char* what, std::string_view bytes) {
  std::shared_ptr<const AllowList> allowed;
  {
    const std::lock_guard lock(list_mutex);
    allowed = list;
  }
  if (!allowed) return std::nullopt;
  const std::string digest = ToHex(Sha256(bytes));
  if (allowed->contains(digest)) return std::nullopt;
  return Error{std::string("the ") + what + " is not on the server's allow-list; its SHA-256 is " + digest};
}

}  // namespace redisai
