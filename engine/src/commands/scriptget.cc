// AI.SCRIPTGET key [META] [SOURCE]

#include "commands/handlers.h"
#include "commands/keyspace.h"
#include "redis/reply.h"

namespace redisai::commands {

int ScriptGet(RedisModuleCtx* ctx, redis::Args args) {
  RedisModuleString* key = args.NextString();
  bool meta = args.TakeWord("META");
  bool source = args.TakeWord("SOURCE");
  if (!meta) meta = args.TakeWord("META");
  if (!args.empty()) return redis::ReplyError(ctx, Error{"Invalid argument: " + OneLine(args.Peek())});
  if (!meta && !source) meta = source = true;
  const auto script = ReadScript(ctx, key);
  if (!script) return redis::ReplyError(ctx, script.error());
  const std::string_view text = (*script)->source()->view();
  if (!meta) return redis::Reply(ctx, text);
  const ScriptOptions& options = (*script)->options();
  redis::ReplyWithArray(ctx, source ? 8 : 6);
  redis::ReplyField(ctx, "device", options.device.text);
  redis::ReplyField(ctx, "tag", options.tag);
  redis::Reply(ctx, "Entry Points");
  redis::ReplyWithArray(ctx, static_cast<long>(options.entry_points.size()));
  for (const std::string& name : options.entry_points) redis::Reply(ctx, name);
  if (source) redis::ReplyField(ctx, "source", text);
  return redis::kOk;
}

}  // namespace redisai::commands
