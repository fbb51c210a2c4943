// Times a TorchScript model called from C++ with nothing around it: what a server can at best come close to.
//
//   bare_model MODEL ROWS FEATURES SECONDS
//
// Prints one line of JSON: microseconds a call as loaded and frozen, each the median of turns that alternate.
// One thread, and libtorch set as the engine sets it (src/torch/setup.cc).
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace {

constexpr int kTurns = 11;

using Clock = std::chrono::steady_clock;

double MicrosecondsACall(torch::jit::Module& module, const at::Tensor& input, double seconds) {
  const auto start = Clock::now();
  double elapsed_us = 0;
  long calls = 0;
  do {
    // The clock costs a few per cent of a small model's call.
    for (int i = 0; i < 10; ++i) module.forward({input});
    calls += 10;
    elapsed_us = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
  } while (elapsed_us < seconds * 1e6);
  return elapsed_us / static_cast<double>(calls);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Run(const std::string& path, int64_t rows, int64_t features, double seconds) {
  at::set_num_threads(1);
  torch::jit::getExecutorMode() = true;
  torch::jit::getProfilingMode() = false;
  const c10::InferenceMode inference_mode;
  torch::jit::Module loaded = torch::jit::load(path);
  loaded.eval();
  torch::jit::Module frozen = torch::jit::freeze(loaded);
  const at::Tensor input = at::rand({rows, features});

  std::array<torch::jit::Module*, 2> modules = {&loaded, &frozen};
  std::array<std::vector<double>, 2> times_us;
  for (torch::jit::Module* module : modules) MicrosecondsACall(*module, input, 0);
  for (int turn = 0; turn < kTurns; ++turn) {
    for (size_t i = 0; i < modules.size(); ++i) {
      times_us[i].push_back(MicrosecondsACall(*modules[i], input, seconds / (2 * kTurns)));
    }
  }
  std::printf("{\"as_loaded_us\": %.3f, \"frozen_us\": %.3f}\n", Median(times_us[0]), Median(times_us[1]));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bare_model MODEL ROWS FEATURES SECONDS\n");
    return 2;
  }
  try {
    Run(argv[1], std::stoll(argv[2]), std::stoll(argv[3]), std::stod(argv[4]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bare_model: %s\n", error.what());
    return 1;
  }
}
