// The table of loaded programs, so that equal blobs share one.
//
// Threads: workers and the main thread load; `cache_mutex` guards the table alone and is not held while
// libtorch works. Two threads that load one new blob at once both do the work, and the second keeps the
// first's program.

#include <atomic>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "torch/engine.h"
#include "torch/program.h"

namespace redisai::torch_backend {
namespace {

struct Entry {
  std::string device;
  std::weak_ptr<const Program> program;  // the table keeps nothing alive
};

std::mutex cache_mutex;

std::atomic<bool> in_use = false;

// Never destroyed: the last models may be freed by another thread while the process exits.
std::unordered_multimap<size_t, Entry>& Cache() {
  static auto* cache = new std::unordered_multimap<size_t, Entry>();
  return *cache;
}

// Call with the lock held. Drops entries that nobody uses any more on its way.
Program::Ref Find(size_t hash, const Blob& blob, const std::string& device) {
  auto [entry, end] = Cache().equal_range(hash);
  while (entry != end) {
    const Program::Ref program = entry->second.program.lock();
    if (!program) {
      entry = Cache().erase(entry);
      continue;
    }
    if (entry->second.device == device && program->blob()->view() == blob.view()) return program;
    ++entry;
  }
  return nullptr;
}

}  // namespace

bool InUse() { return in_use; }

void MarkInUse() { in_use = true; }

LoadedPrograms CountLoaded() {
  // References that go last would free a program, which is not for under the lock.
  std::vector<Program::Ref> programs;
  {
    const std::lock_guard lock(cache_mutex);
    for (const auto& [hash, entry] : Cache()) {
      if (auto program = entry.program.lock()) programs.push_back(std::move(program));
    }
  }
  LoadedPrograms loaded;
  for (const Program::Ref& program : programs) {
    loaded.count += 1;
    loaded.blob_bytes += static_cast<int64_t>(program->blob()->view().size());
    loaded.parameter_bytes += static_cast<int64_t>(program->parameter_bytes());
  }
  return loaded;
}

Result<Program::Ref> Load(const Blob::Ref& blob, const Device& device) {
  if (const auto usable = CheckDevice(device); !usable) return usable.error();
  const size_t hash = std::hash<std::string_view>{}(blob->view());
  const std::string name = device.name();
  {
    const std::lock_guard lock(cache_mutex);
    if (auto program = Find(hash, *blob, name)) return program;
  }
  MarkInUse();
  auto program = MakeProgram(blob, device);
  if (!program) return program;
  const std::lock_guard lock(cache_mutex);
  if (auto earlier = Find(hash, *blob, name)) return earlier;
  Cache().emplace(hash, Entry{name, *program});
  return program;
}

}  // namespace redisai::torch_backend
