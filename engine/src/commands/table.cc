#include "commands/table.h"

#include <string>

#include "commands/handlers.h"
#include "redis/command_syntax.h"
#include "redis/guard.h"

namespace redisai::commands {
namespace {

using redis::Handled;

constexpr const char* kSince = "0.1.0";

// Of the ACL categories that are our own, where the server lets us have some.
struct Category {
  static constexpr const char* kAll = "ai";
  static constexpr const char* kRun = "ai_run";      // tensors, and running what is stored
  static constexpr const char* kStore = "ai_store";  // what decides which code runs in the server
};

// What the commands have of the server's categories gives nobody what the same category did not give before:
// DUMP is in @read, SET and DEL in @write, KEYS and MODULE in @dangerous. So running is in none of them.
struct CommandSpec {
  // In lower case, as the server's own are in its errors.
  const char* name;
  redis::Handling handling;
  const char* flags;
  const char* category = nullptr;
  const char* server_categories = "";
  redis::KeyUse key_use = redis::kReadsKey;  // of the word `key`
  const char* syntax;
  const char* summary = nullptr;
  const char* complexity;
  const char* replaced_by = nullptr;  // of a deprecated command, which has no summary of its own
  const char* tips = nullptr;
};

constexpr const char* kWrites = "write deny-oom";
constexpr const char* kRuns = "write deny-oom getkeys-api";
constexpr const char* kOfScan = "O(N), N the number of keys in the database";
constexpr const char* kOfStore = "O(N), N the size of the archive in bytes";
constexpr const char* kOfRun = "that of the model, and O(N), N the bytes of its inputs and outputs";
constexpr const char* kOfDag = "the sum of its operations";
constexpr const char* kScanTips = "request_policy:all_shards nondeterministic_output_order";

constexpr CommandSpec kCommands[] = {
    {.name = "ai.tensorset",
     .handling = Handled<TensorSet, -4>(),
     .flags = kWrites,
     .category = Category::kRun,
     .server_categories = "write slow",
     .key_use = redis::kOverwritesKey,
     .syntax = "key type dim… [BLOB data | VALUES v…]",
     .summary = "Stores a tensor; zeros without data.",
     .complexity = "O(N), N the number of elements"},
    {.name = "ai.tensorget",
     .handling = Handled<TensorGet, -2>(),
     .flags = "readonly",
     .category = Category::kRun,
     .server_categories = "read slow",
     .syntax = "key [META] [BLOB | VALUES]",
     .summary = "Returns a tensor: type, shape, data.",
     .complexity = "O(N), N the number of elements"},
    {.name = "ai.modelstore",
     .handling = Handled<ModelStore, -4>(),
     .flags = kWrites,
     .category = Category::kStore,
     .server_categories = "dangerous slow",
     .key_use = redis::kOverwritesKey,
     .syntax = "key TORCH device [TAG t] [BATCHSIZE n [MINBATCHSIZE m [MINBATCHTIMEOUT ms]]] BLOB chunk…",
     .summary = "Loads, freezes, optimises and keeps a TorchScript archive.",
     .complexity = kOfStore},
    {.name = "ai.modelget",
     .handling = Handled<ModelGet, -2>(),
     .flags = "readonly",
     .server_categories = "read slow",
     .syntax = "key [META] [BLOB]",
     .summary = "Returns a model: its description and its bytes.",
     .complexity = "O(N), N the bytes returned"},
    {.name = "ai.modeldel",
     .handling = Handled<ModelDel, 2>(),
     .flags = "write",
     .category = Category::kStore,
     .server_categories = "write slow",
     .key_use = redis::kDeletesKey,
     .syntax = "key",
     .summary = "Deletes a model.",
     .complexity = "O(1)"},
    {.name = "ai.modelexecute",
     .handling = Handled<ModelExecute, -2>(),
     .flags = kRuns,
     .category = Category::kRun,
     .syntax = "key INPUTS n in… OUTPUTS n out… [TIMEOUT ms]",
     .summary = "Runs a model on tensors under keys.",
     .complexity = kOfRun},
    {.name = "ai._modelscan",
     .handling = Handled<ModelScan, 1>(),
     .flags = "readonly",
     .server_categories = "keyspace read slow dangerous",
     .syntax = "",
     .summary = "Lists all models and their tags. Walks the keyspace, as KEYS does.",
     .complexity = kOfScan,
     .tips = kScanTips},
    {.name = "ai.scriptstore",
     .handling = Handled<ScriptStore, -3>(),
     .flags = kWrites,
     .category = Category::kStore,
     .server_categories = "dangerous slow",
     .key_use = redis::kOverwritesKey,
     .syntax = "key device [TAG t] ENTRY_POINTS n name… SOURCE text",
     .summary = "Compiles and keeps TorchScript source.",
     .complexity = "O(N), N the length of the source"},
    {.name = "ai.scriptget",
     .handling = Handled<ScriptGet, -2>(),
     .flags = "readonly",
     .server_categories = "read slow",
     .syntax = "key [META] [SOURCE]",
     .summary = "Returns a script: its description and its source.",
     .complexity = "O(N), N the bytes returned"},
    {.name = "ai.scriptdel",
     .handling = Handled<ScriptDel, 2>(),
     .flags = "write",
     .category = Category::kStore,
     .server_categories = "write slow",
     .key_use = redis::kDeletesKey,
     .syntax = "key",
     .summary = "Deletes a script.",
     .complexity = "O(1)"},
    {.name = "ai.scriptexecute",
     .handling = Handled<ScriptExecute, -3>(),
     .flags = kRuns,
     .category = Category::kRun,
     .syntax = "key function [KEYS n k…] [INPUTS n in…] [ARGS n arg…] [OUTPUTS n out…] [TIMEOUT ms]",
     .summary = "Calls a function of a script on tensors under keys. KEYS or INPUTS come first.",
     .complexity = "that of the function"},
    {.name = "ai._scriptscan",
     .handling = Handled<ScriptScan, 1>(),
     .flags = "readonly",
     .server_categories = "keyspace read slow dangerous",
     .syntax = "",
     .summary = "Lists all scripts and their tags. Walks the keyspace, as KEYS does.",
     .complexity = kOfScan,
     .tips = kScanTips},
    {.name = "ai.dagexecute",
     .handling = Handled<DagExecute, -1>(),
     .flags = kRuns,
     .category = Category::kRun,
     .syntax = "[LOAD n in…] [PERSIST n out…] [ROUTING k] [TIMEOUT ms] (|> op)…",
     .summary = "Runs several operations in one call, their names local to it.",
     .complexity = kOfDag},
    {.name = "ai.dagexecute_ro",
     .handling = Handled<DagExecuteRo, -1>(),
     .flags = "readonly getkeys-api",
     .category = Category::kRun,
     .syntax = "[LOAD n in…] [ROUTING k] [TIMEOUT ms] (|> op)…",
     .summary = "Runs several operations that write nothing; replicas and read-only scripts do too.",
     .complexity = kOfDag},
    {.name = "ai.modelset",
     .handling = Handled<ModelSet, -4>(),
     .flags = kWrites,
     .category = Category::kStore,
     .server_categories = "dangerous slow",
     .key_use = redis::kOverwritesKey,
     .syntax = "key TORCH device [TAG t] [BATCHSIZE n [MINBATCHSIZE m]] BLOB chunk…",
     .complexity = kOfStore,
     .replaced_by = "AI.MODELSTORE"},
    {.name = "ai.modelrun",
     .handling = Handled<ModelRun, -2>(),
     .flags = kRuns,
     .category = Category::kRun,
     .syntax = "key [TIMEOUT ms] INPUTS in… OUTPUTS out…",
     .complexity = kOfRun,
     .replaced_by = "AI.MODELEXECUTE"},
    {.name = "ai.scriptset",
     .handling = Handled<ScriptSet, -3>(),
     .flags = kWrites,
     .category = Category::kStore,
     .server_categories = "dangerous slow",
     .key_use = redis::kOverwritesKey,
     .syntax = "key device [TAG t] SOURCE text",
     .complexity = "O(N), N the length of the source",
     .replaced_by = "AI.SCRIPTSTORE"},
    {.name = "ai.scriptrun",
     .handling = Handled<ScriptRun, -3>(),
     .flags = kRuns,
     .category = Category::kRun,
     .syntax = "key function [TIMEOUT ms] INPUTS in… [$ in…] OUTPUTS out…",
     .complexity = "that of the function",
     .replaced_by = "AI.SCRIPTEXECUTE"},
    {.name = "ai.dagrun",
     .handling = Handled<DagRun, -1>(),
     .flags = kRuns,
     .category = Category::kRun,
     .syntax = "[LOAD n in…] [PERSIST n out…] [ROUTING k] [TIMEOUT ms] (|> op)…",
     .complexity = kOfDag,
     .replaced_by = "AI.DAGEXECUTE"},
    {.name = "ai.dagrun_ro",
     .handling = Handled<DagRunRo, -1>(),
     .flags = "readonly getkeys-api",
     .category = Category::kRun,
     .syntax = "[LOAD n in…] [ROUTING k] [TIMEOUT ms] (|> op)…",
     .complexity = kOfDag,
     .replaced_by = "AI.DAGEXECUTE_RO"},
    {.name = "ai.config",
     .handling = Handled<Config, -2>(),
     .flags = "write",
     .category = Category::kStore,
     .server_categories = "dangerous slow",
     .syntax = "(GET name | MODEL_CHUNK_SIZE bytes | BACKENDSPATH path | LOADBACKEND TORCH file)",
     .summary = "Reads or changes a setting that RedisAI had; the backend is built in.",
     .complexity = "O(1)",
     .tips = "request_policy:all_nodes"},
    {.name = "ai.info",
     .handling = Handled<Info, -2>(),
     .flags = "readonly",
     .server_categories = "read fast",
     .syntax = "key [RESETSTAT]",
     .summary = "Returns or resets calls, errors, samples and microseconds of a model or script.",
     .complexity = "O(1)"},
};

bool Refused(RedisModuleCtx* ctx, const char* what) {
  redis::Log(ctx, "warning", "the server refuses %s", what);
  return false;
}

bool Describe(RedisModuleCommand* command, const CommandSpec& spec) {
  redis::CommandSyntax syntax(spec.syntax, spec.key_use);
  // For a whole command the server has no better mark.
  const std::string deprecated =
      spec.replaced_by ? std::string("Deprecated: use ") + spec.replaced_by + '.' : "";
  redis::CommandChange history[2] = {{kSince, deprecated.c_str()}, {}};
  const redis::CommandInfo info{.summary = spec.replaced_by ? deprecated.c_str() : spec.summary,
                                .complexity = spec.complexity,
                                .since = kSince,
                                .history = spec.replaced_by ? history : nullptr,
                                .tips = spec.tips,
                                .arity = spec.handling.arity,
                                .key_specs = syntax.key_specs(),
                                .arguments = syntax.arguments()};
  return redis::SetCommandInfo(command, &info) == redis::kOk;
}

bool Categorise(RedisModuleCommand* command, const CommandSpec& spec, bool has_own_categories) {
  std::string categories = spec.server_categories;
  const auto add = [&categories](const char* category) {
    if (!categories.empty()) categories += ' ';
    categories += category;
  };
  if (has_own_categories) {
    add(Category::kAll);
    if (spec.category) add(spec.category);
  }
  return categories.empty() || redis::SetCommandACLCategories(command, categories.c_str()) == redis::kOk;
}

bool AddCategories(RedisModuleCtx* ctx) {
  for (const char* category : {Category::kAll, Category::kRun, Category::kStore}) {
    if (redis::AddACLCategory(ctx, category) != redis::kOk) return false;
  }
  return true;
}

}  // namespace

bool RegisterCommands(RedisModuleCtx* ctx) {
  const bool has_own_categories = redis::AddACLCategory != nullptr;
  if (has_own_categories && !AddCategories(ctx)) return Refused(ctx, "an ACL category");
  for (const CommandSpec& spec : kCommands) {
    // Where its keys are follows from the description.
    if (redis::CreateCommand(ctx, spec.name, spec.handling.function, spec.flags, 0, 0, 0) != redis::kOk)
      return Refused(ctx, spec.name);
    RedisModuleCommand* command = redis::GetCommand(ctx, spec.name);
    if (!Describe(command, spec)) return Refused(ctx, spec.name);
    if (!Categorise(command, spec, has_own_categories)) return Refused(ctx, spec.name);
  }
  return true;
}

}  // namespace redisai::commands
