// AI.DAGEXECUTE [LOAD n k…] [PERSIST n k…] [ROUTING tag] [TIMEOUT ms] |> op [|> op …], and AI.DAGEXECUTE_RO.
//
// Everything is parsed and resolved before anything runs; an error there is one error for the whole command.

#include "commands/dagexecute.h"

#include <string>

#include "commands/graph_task.h"
#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "commands/run_syntax.h"
#include "commands/script_host.h"
#include "commands/tensor_syntax.h"
#include "persist/types.h"
#include "redis/reply.h"

namespace redisai::commands {
namespace {

constexpr std::string_view kOpSeparator = "|>";

struct Header {
  Names load;
  Names persist;
  RedisModuleString* routing = nullptr;
  std::optional<int64_t> timeout_ms;

  RedisModuleString* any_key() const {
    if (routing) return routing;
    if (!load.empty()) return load.front();
    return persist.empty() ? nullptr : persist.front();
  }
};

// `n key…` after LOAD or PERSIST.
Result<Names> ParseKeys(redis::Args& args, std::string_view keyword) {
  const std::string word(keyword);
  if (args.empty()) return Error{"missing arguments after " + word + " keyword in DAG command"};
  const auto count = args.NextNumber<int64_t>();
  if (!count || *count <= 0) return Error{"invalid or negative value found in number of keys to " + word};
  if (static_cast<uint64_t>(*count) > args.size()) {
    return Error{"missing arguments after " + word + " keyword in DAG command"};
  }
  return args.Take(static_cast<size_t>(*count));
}

Result<Header> ParseHeader(redis::Args& args, const DagForm& form) {
  if (args.empty()) return Error{std::string("missing arguments for '") + form.command + "' command"};
  Header header;
  while (!args.empty() && args.Peek() != kOpSeparator) {
    if (header.load.empty() && args.TakeWord("LOAD")) {
      const auto keys = ParseKeys(args, "LOAD");
      if (!keys) return keys.error();
      header.load = *keys;
    } else if (header.persist.empty() && args.TakeWord("PERSIST")) {
      const auto keys = ParseKeys(args, "PERSIST");
      if (!keys) return keys.error();
      header.persist = *keys;
    } else if (!header.routing && args.TakeWord("ROUTING")) {
      if (args.empty()) return Error{"Missing ROUTING value"};
      header.routing = args.NextString();
    } else if (!header.timeout_ms && args.TakeWord("TIMEOUT")) {
      const auto timeout_ms = ParseTimeout(args);
      if (!timeout_ms) return timeout_ms.error();
      header.timeout_ms = *timeout_ms;
    } else {
      return Error{"Invalid DAG command. Unexpected argument:  " + OneLine(args.Peek())};
    }
  }
  if (!form.deprecated && header.load.empty() && header.persist.empty() && !header.routing) {
    return Error{
        "AI.DAGEXECUTE and AI.DAGEXECUTE_RO commands must contain at least one out of ROUTING, LOAD, PERSIST "
        "keywords"};
  }
  return header;
}

// The next operation's arguments, with its name first; the cursor ends behind them.
redis::Args NextOp(redis::Args& args) {
  args.NextString();  // the separator
  redis::Args rest = args;
  size_t count = 0;
  while (!rest.empty() && rest.Peek() != kOpSeparator) {
    rest.NextString();
    ++count;
  }
  return redis::Args(args.Take(count));
}

Error TimeoutInOp() { return {"TIMEOUT is for the whole DAG, before the first |>, not for one operation"}; }

std::optional<Error> AddModelOp(RedisModuleCtx* ctx, Graph& graph, redis::Args args, const DagForm& form) {
  const auto call = form.deprecated ? ParseModelRun(args) : ParseModelCall(args);
  if (!call) return call.error();
  if (call->timeout_ms) return TimeoutInOp();
  auto model = ReadUndeclaredModel(ctx, redis::Caller::Of(ctx), call->model);
  if (!model) return model.error();
  return graph.AddModel(std::move(*model), Views(call->inputs), Views(call->outputs));
}

// Why the operation `name` is not one of this form of DAG.
Error NotInDag(std::string_view name, const DagForm& form) {
  if (form.deprecated) {
    for (const std::string word : {"AI.MODELEXECUTE", "AI.SCRIPTEXECUTE"}) {
      if (EqualsIgnoreCase(name, word))
        return Error{word + " cannot be used in a deprecated AI.DAGRUN command"};
    }
  } else {
    for (const std::string word : {"AI.MODELRUN", "AI.SCRIPTRUN"}) {
      if (EqualsIgnoreCase(name, word))
        return Error{"Deprecated " + word + " cannot be used in AI.DAGEXECUTE command"};
    }
  }
  return Error{"Unsupported command within DAG"};
}

std::optional<Error> AddScriptOp(RedisModuleCtx* ctx, Graph& graph, const Header& header, redis::Args args,
                                 const DagForm& form) {
  const auto command = form.deprecated ? ParseScriptRun(args) : ParseScriptCommand(args);
  if (!command) return command.error();
  if (command->timeout_ms) return TimeoutInOp();
  auto caller = redis::Caller::Of(ctx);
  auto script = ReadUndeclaredScript(ctx, caller, command->script);
  if (!script) return script.error();
  RedisModuleString* key = header.any_key();
  return graph.AddScript({std::move(*script), command->call(),
                          MakeScriptHost(std::move(caller), key ? key : command->script, form.read_only)},
                         command->input_names(), command->output_names());
}

std::optional<Error> AddOp(RedisModuleCtx* ctx, Graph& graph, const Header& header, redis::Args op,
                           const DagForm& form) {
  if (op.empty()) return Error{"DAG is empty"};
  const std::string_view name = op.Next();
  if (EqualsIgnoreCase(name, form.deprecated ? "AI.MODELRUN" : "AI.MODELEXECUTE"))
    return AddModelOp(ctx, graph, op, form);
  if (EqualsIgnoreCase(name, form.deprecated ? "AI.SCRIPTRUN" : "AI.SCRIPTEXECUTE")) {
    if (!form.deprecated && form.read_only)
      return Error{"AI.SCRIPTEXECUTE command cannot be specified in a read-only DAG"};
    return AddScriptOp(ctx, graph, header, op, form);
  }
  const bool set = EqualsIgnoreCase(name, "AI.TENSORSET");
  if (!set && !EqualsIgnoreCase(name, "AI.TENSORGET")) return NotInDag(name, form);
  if (op.size() < (set ? 3 : 1)) {
    return Error{std::string("wrong number of arguments for '") + (set ? "AI.TENSORSET" : "AI.TENSORGET") +
                 "' command"};
  }
  const std::string_view tensor_name = op.Next();
  if (!set) {
    const auto format = ParseTensorFormat(op);
    if (!format) return format.error();
    return graph.AddGet(tensor_name, *format);
  }
  auto tensor = ParseTensor(op);
  if (!tensor) return tensor.error();
  graph.AddSet(tensor_name, std::move(*tensor));
  return std::nullopt;
}

Result<Graph> BuildGraph(RedisModuleCtx* ctx, const Header& header, redis::Args ops, const DagForm& form) {
  Graph graph;
  for (RedisModuleString* key : header.load) {
    const std::string_view name = redis::View(key);
    if (graph.Find(name)) return Error{"a key is given to LOAD twice: " + OneLine(name)};
    auto tensor = ReadTensor(ctx, key);
    if (!tensor) return tensor.error();
    graph.Load(name, std::move(*tensor));
  }
  if (ops.empty()) return Error{"DAG is empty"};
  while (!ops.empty()) {
    if (auto error = AddOp(ctx, graph, header, NextOp(ops), form)) return *error;
  }
  return graph;
}

Result<std::vector<Kept>> ResolvePersist(RedisModuleCtx* ctx, const Graph& graph, Names keys) {
  std::vector<Kept> kept;
  for (RedisModuleString* key : keys) {
    const auto slot = graph.Find(redis::View(key));
    if (!slot) return Error{"PERSIST key cannot be found in DAG"};
    if (auto error = CheckWritable(ctx, key, persist::TensorType())) return *error;
    kept.push_back({redis::String::Hold(ctx, key), *slot});
  }
  return kept;
}

struct ReplyOutcome {
  RedisModuleCtx* ctx;
  const Op& op;
  int operator()(std::monostate) const { return redis::ReplyOk(ctx); }
  int operator()(const TensorRef& tensor) const {
    return ReplyTensor(ctx, *tensor, std::get<GetOp>(op).format);
  }
  int operator()(const Error& error) const { return redis::ReplyError(ctx, error); }
  int operator()(NotAvailable) const { return redis::ReplyWithSimpleString(ctx, "NA"); }
};

int ReplyEachOp(RedisModuleCtx* ctx, const GraphRun& run, const std::optional<Error>& written) {
  if (written) return redis::ReplyError(ctx, *written);
  const std::vector<Op>& ops = run.graph().ops();
  redis::ReplyWithArray(ctx, static_cast<long>(ops.size()));
  for (size_t i = 0; i < ops.size(); ++i) std::visit(ReplyOutcome{ctx, ops[i]}, run.outcome(i));
  return redis::kOk;
}

// For COMMAND GETKEYS and the cluster: LOAD, PERSIST and ROUTING values; names inside are local.
int ReportKeys(RedisModuleCtx* ctx, redis::Args args) {
  while (!args.empty() && args.Peek() != kOpSeparator) {
    int64_t count = 0;
    redis::KeyUse use = redis::kReadsKey;
    if (args.TakeWord("ROUTING")) {
      count = 1;
      use = redis::kRoutesByKey;
    } else if (args.TakeWord("LOAD")) {
      count = args.NextNumber<int64_t>().value_or(0);
    } else if (args.TakeWord("PERSIST")) {
      count = args.NextNumber<int64_t>().value_or(0);
      use = redis::kOverwritesKey;
    } else {
      args.NextString();
    }
    for (; count > 0 && !args.empty(); --count) redis::ReportKey(ctx, args, use);
  }
  return redis::kOk;
}

}  // namespace

int ExecuteDag(RedisModuleCtx* ctx, redis::Args args, const DagForm& form) {
  if (redis::IsKeysPositionRequest(ctx)) return ReportKeys(ctx, args);
  const auto header = ParseHeader(args, form);
  if (!header) return redis::ReplyError(ctx, header.error());
  if (form.read_only && !header->persist.empty()) {
    return redis::ReplyError(ctx, Error{"PERSIST cannot be specified in a read-only DAG"});
  }
  auto graph = BuildGraph(ctx, *header, args, form);
  if (!graph) return redis::ReplyError(ctx, graph.error());
  auto kept = ResolvePersist(ctx, *graph, header->persist);
  if (!kept) return redis::ReplyError(ctx, kept.error());
  return RunGraphTask(ctx, std::move(*graph), std::move(*kept), ReplyEachOp, header->timeout_ms);
}

int DagExecute(RedisModuleCtx* ctx, redis::Args args) {
  return ExecuteDag(ctx, args, {.command = "AI.DAGEXECUTE", .read_only = false, .deprecated = false});
}

int DagExecuteRo(RedisModuleCtx* ctx, redis::Args args) {
  return ExecuteDag(ctx, args, {.command = "AI.DAGEXECUTE_RO", .read_only = true, .deprecated = false});
}

}  // namespace redisai::commands
