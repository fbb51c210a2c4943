#include "commands/tensor_syntax.h"

#include <array>
#include <charconv>
#include <vector>

#include "redis/reply.h"
#include "torch/element.h"

namespace redisai::commands {
namespace {

Result<TensorRef> ParseStrings(Dims dims, redis::Args values) {
  std::vector<std::string_view> elements;
  while (!values.empty()) {
    std::string_view element = values.Next();
    if (element.ends_with('\0')) element.remove_suffix(1);  // as C's strings end
    elements.push_back(element);
  }
  return Tensor::FromStrings(dims, elements);
}

Result<TensorRef> ParseValues(DType dtype, Dims dims, redis::Args values) {
  const auto count = ElementCount(dims, SizeBytes(dtype));
  if (!count) return count.error();
  if (values.size() != static_cast<size_t>(*count)) {
    return Error{"wrong number of values was given in 'AI.TENSORSET' command"};
  }
  if (dtype == DType::kString) return ParseStrings(dims, values);
  auto tensor = Tensor::Uninitialized(dtype, dims);
  if (!tensor) return tensor;
  char* target = Tensor::MutableData(*tensor);
  for (; !values.empty(); target += SizeBytes(dtype)) {
    if (!torch_backend::ParseElement(dtype, values.Next(), target)) {
      return Error{dtype == DType::kBool ? "BOOL tensor elements must be 0 or 1" : "invalid value"};
    }
  }
  return tensor;
}

template <typename Number>
int ReplyNumber(RedisModuleCtx* ctx, Number number) {
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.begin(), text.end(), number).ptr;  // the shortest that reads back the same
  return redis::Reply(ctx, {text.begin(), end});
}

struct ReplyElement {
  RedisModuleCtx* ctx;
  int operator()(int64_t number) const { return redis::ReplyWithLongLong(ctx, number); }
  int operator()(float number) const { return ReplyNumber(ctx, number); }
  int operator()(double number) const { return ReplyNumber(ctx, number); }
};

void ReplyShape(RedisModuleCtx* ctx, Dims dims) {
  redis::ReplyWithArray(ctx, static_cast<long>(dims.size()));
  for (const int64_t dim : dims) redis::ReplyWithLongLong(ctx, dim);
}

int ReplyStrings(RedisModuleCtx* ctx, const Tensor& tensor) {
  const std::string_view blob = tensor.blob();
  for (size_t begin = 0; begin < blob.size();) {
    const size_t end = blob.find('\0', begin);
    redis::Reply(ctx, blob.substr(begin, end - begin));
    begin = end + 1;
  }
  return redis::kOk;
}

int ReplyData(RedisModuleCtx* ctx, const Tensor& tensor, TensorFormat::Data data) {
  if (data == TensorFormat::Data::kBlob) return redis::Reply(ctx, tensor.blob());
  const int64_t count = tensor.element_count();
  redis::ReplyWithArray(ctx, count);
  if (tensor.dtype() == DType::kString) return ReplyStrings(ctx, tensor);
  for (int64_t i = 0; i < count; ++i) std::visit(ReplyElement{ctx}, torch_backend::ReadElement(tensor, i));
  return redis::kOk;
}

}  // namespace

Result<TensorRef> ParseTensor(redis::Args args) {
  const auto dtype = args.empty() ? std::nullopt : DTypeFromName(args.Next());
  if (!dtype) return Error{"invalid data type"};
  std::vector<int64_t> dims;
  bool blob = false;
  bool values = false;
  while (!args.empty() && !blob && !values) {
    blob = args.TakeWord("BLOB");
    values = !blob && args.TakeWord("VALUES");
    if (blob || values) break;
    const auto dim = args.NextNumber<int64_t>();
    if (!dim || *dim < 0) return Error{"invalid or negative value found in tensor shape"};
    dims.push_back(*dim);
  }
  if (values) return ParseValues(*dtype, dims, args);
  if (!blob) return Tensor::Zeros(*dtype, dims);
  if (args.size() != 1) {
    return Error{"a single binary string should come after the BLOB argument in 'AI.TENSORSET' command"};
  }
  return Tensor::FromBlob(*dtype, dims, args.Next());
}

Result<TensorFormat> ParseTensorFormat(redis::Args args) {
  if (args.empty()) return TensorFormat{};
  TensorFormat format{.meta = false, .data = TensorFormat::Data::kNone};
  constexpr size_t kMostWords = 2;  // META and one of the others
  if (args.size() > kMostWords) return Error{"wrong number of arguments for 'AI.TENSORGET' command"};
  while (!args.empty()) {
    TensorFormat::Data data;
    if (args.TakeWord("META")) {
      format.meta = true;
      continue;
    } else if (args.TakeWord("BLOB")) {
      data = TensorFormat::Data::kBlob;
    } else if (args.TakeWord("VALUES")) {
      data = TensorFormat::Data::kValues;
    } else {
      return Error{"unsupported data format"};
    }
    if (format.data != TensorFormat::Data::kNone && format.data != data)
      return Error{"both BLOB and VALUES specified"};
    format.data = data;
  }
  return format;
}

int ReplyTensor(RedisModuleCtx* ctx, const Tensor& tensor, TensorFormat format) {
  if (!format.meta) return ReplyData(ctx, tensor, format.data);
  const bool with_data = format.data != TensorFormat::Data::kNone;
  redis::ReplyWithArray(ctx, with_data ? 6 : 4);
  redis::Reply(ctx, "dtype");
  redis::Reply(ctx, Name(tensor.dtype()));
  redis::Reply(ctx, "shape");
  ReplyShape(ctx, tensor.dims());
  if (!with_data) return redis::kOk;
  redis::Reply(ctx, format.data == TensorFormat::Data::kBlob ? "blob" : "values");
  return ReplyData(ctx, tensor, format.data);
}

}  // namespace redisai::commands
