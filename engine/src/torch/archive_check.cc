#include "torch/archive_check.h"

#include <caffe2/serialize/inline_container.h>

#include <string>

#include "base/text.h"
#include "torch/pickle_check.h"
#include "torch/source_limits.h"

namespace redisai::torch_backend {
namespace {

using caffe2::serialize::PyTorchStreamReader;

Error Of(const std::string& record, const Error& error) { return {OneLine(record) + ": " + error.text}; }

// The folder of TorchScript source; libtorch finds names whatever their case.
bool IsSource(const std::string& name) {
  constexpr std::string_view kFolder = "CODE/";
  return EqualsIgnoreCase(std::string_view(name).substr(0, kFolder.size()), kFolder);
}

std::optional<Error> CheckRecord(PyTorchStreamReader& reader, const std::string& name) {
  if (!IsSource(name)) return std::nullopt;
  const auto [text, size_bytes] = reader.getRecord(name);
  const auto error = CheckSource({static_cast<const char*>(text.get()), size_bytes});
  return error ? std::optional(Of(name, *error)) : std::nullopt;
}

// The pickle `name`.pkl, whose tensors' data is in the folder `name`.
std::optional<Error> CheckPickleOf(PyTorchStreamReader& reader, const std::string& name) {
  const std::string record = name + ".pkl";
  if (!reader.hasRecord(record)) return std::nullopt;  // libtorch says so
  const auto [pickle, size_bytes] = reader.getRecord(record);
  const auto error =
      CheckPickle({static_cast<const char*>(pickle.get()), size_bytes},
                  [&](const std::string& key) { return reader.getRecordSize(name + "/" + key); });
  return error ? std::optional(Of(record, *error)) : std::nullopt;
}

}  // namespace

std::optional<Error> CheckKind(std::string_view blob) {
  const auto refused = [](const std::string& found) {
    return Error{"this is " + found +
                 ", and TorchScript is wanted: in Python, torch.jit.script(model).save(\"model.pt\")"};
  };
  // A zip has the names of its files in plain text.
  const auto has = [blob](std::string_view name) { return blob.find(name) != std::string_view::npos; };
  if (blob.starts_with("PK\x03\x04") && has("data.pkl") && !has("constants.pkl"))
    return refused("a file of torch.save, weights or a pickled model");
  if (blob.starts_with("\x80\x02")) return refused("a pickle, as torch.save of old PyTorch writes it");
  // A protobuf message, whose first field is ONNX's version and whose next one is a text or the graph.
  constexpr std::string_view kNextFields = "\x12\x1a\x22\x32\x3a\x42";
  if (blob.size() > 2 && blob[0] == '\x08' && blob[1] > 0 && blob[1] < 32 &&
      kNextFields.find(blob[2]) != std::string_view::npos)
    return refused("an ONNX file");
  return std::nullopt;
}

std::optional<Error> CheckArchive(const std::shared_ptr<caffe2::serialize::ReadAdapterInterface>& archive) {
  PyTorchStreamReader reader(archive);
  reader.setShouldLoadDebugSymbol(false);
  if (reader.hasRecord("model.json")) return Error{"the archive is of a format that PyTorch has given up"};
  const auto names = reader.getAllRecords();
  for (const std::string& name : names) {
    // PyTorch compresses nothing, so that no record is larger than the archive.
    if (reader.getRecordSize(name) > archive->size()) return Of(name, {"it is larger than the archive"});
  }
  for (const std::string& name : names) {
    if (auto error = CheckRecord(reader, name)) return error;
  }
  for (const char* name : {"constants", "data"}) {
    if (auto error = CheckPickleOf(reader, name)) return error;
  }
  return std::nullopt;
}

}  // namespace redisai::torch_backend
