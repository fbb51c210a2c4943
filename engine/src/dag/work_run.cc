#include "dag/work_run.h"

#include <chrono>
#include <string>

#include "base/text.h"

namespace redisai {
namespace {

Result<Tensors> Call(const ScriptWork& work, std::span<const TensorRef> inputs, size_t output_count) {
  const auto& program = work.script->program();
  if (!program) return program.error();
  if (!(*program)->Has(work.call.function))
    return Error{"Function does not exist: " + OneLine(work.call.function)};
  auto outputs = (*program)->Run(work.call, inputs, *work.host);
  if (!outputs) return outputs;
  // A script that is called for what it does in Redis may return what it likes.
  if (output_count == 0) return Tensors{};
  if (outputs->size() != output_count) {
    return Error{"the script returned " + std::to_string(outputs->size()) + " tensors where " +
                 std::to_string(output_count) + " outputs were named"};
  }
  return outputs;
}

Result<Tensors> RunScript(const ScriptWork& work, std::span<const TensorRef> inputs, size_t output_count) {
  const auto start = std::chrono::steady_clock::now();
  auto outputs = Call(work, inputs, output_count);
  const auto duration = std::chrono::steady_clock::now() - start;
  for (RunStats* stats : {&work.script->stats(), &Script::TotalStats()}) {
    stats->calls += 1;
    if (outputs) {
      stats->duration_us += std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
    } else {
      stats->errors += 1;
    }
  }
  return outputs;
}

}  // namespace

Result<Tensors> RunWork(const RunOp& op, std::span<const TensorRef> inputs) {
  if (const auto* script = std::get_if<ScriptWork>(&op.work)) {
    return RunScript(*script, inputs, op.outputs.size());
  }
  return RunModel(*std::get<Model::Ref>(op.work), inputs, op.outputs.size());
}

}  // namespace redisai
