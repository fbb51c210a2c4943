#include "commands/script_host.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <stdexcept>

#include "base/limits.h"
#include "commands/keyspace.h"
#include "dag/model_run.h"
#include "persist/value_names.h"
#include "redis/main_thread.h"
#include "redis/slots.h"
#include "runtime/devices.h"

namespace redisai::commands {
namespace {

struct FreeReply {
  void operator()(RedisModuleCallReply* reply) const { redis::FreeCallReply(reply); }
};

std::string TextOf(RedisModuleCallReply* reply) {
  size_t size = 0;
  const char* text = redis::CallReplyStringPtr(reply, &size);
  return {text, size};
}

// Replies are of RESP2: no maps, sets or doubles. An error inside an array is its text.
ScriptReply Read(RedisModuleCallReply* reply, int depth = 0) {
  if (depth > kMaxValueDepth) throw std::runtime_error("the reply is nested too deeply");
  switch (redis::CallReplyType(reply)) {
    case redis::kReplyString:
    case redis::kReplyError:
      return {TextOf(reply)};
    case redis::kReplyInteger:
      return {int64_t{redis::CallReplyInteger(reply)}};
    case redis::kReplyArray: {
      ScriptReply::List list;
      const size_t count = redis::CallReplyLength(reply);
      for (size_t i = 0; i < count; ++i)
        list.push_back(Read(redis::CallReplyArrayElement(reply, i), depth + 1));
      return {std::move(list)};
    }
    default:
      return {};
  }
}

// Whether all keys of the command are in `slot`.
bool IsInSlot(RedisModuleCtx* ctx, std::vector<RedisModuleString*> command, int slot) {
  int count = 0;
  int* positions = redis::GetCommandKeys(ctx, command.data(), static_cast<int>(command.size()), &count);
  if (!positions) return true;  // no keys, or no such command
  const bool all = std::all_of(positions, positions + count, [&](int position) {
    return redis::KeySlot(redis::View(command[static_cast<size_t>(position)])) == slot;
  });
  redis::Free(positions);
  return all;
}

// `only_slot` limits the command's keys, where they are limited.
Result<ScriptReply> Call(const redis::Caller& caller, std::optional<int> only_slot, bool read_only,
                         const std::vector<std::string>& arguments) {
  std::optional<redis::User> user;
  const redis::DetachedContext ctx(caller.database);
  // v: the arguments; !: replicate; E: errors are replies; S: as in Lua, nothing that must not run there; M:
  // out of memory refuses writes; W: nothing that writes; C: the rights of the context's user. Commands that
  // could block answer at once.
  std::string format = read_only ? "v!ESMW" : "v!ESM";
  if (caller.user) {
    user.emplace(*caller.user);
    if (!*user) return Error{"the user of this connection was deleted"};
    redis::SetContextUser(ctx.get(), user->get());
    format += 'C';
  }
  std::vector<redis::String> strings;
  for (const std::string& argument : arguments) strings.emplace_back(argument);
  auto pointers = redis::Pointers(strings);
  if (only_slot && !IsInSlot(ctx.get(), pointers, *only_slot)) {
    return Error{"CROSSSLOT a script inside a transaction or another script reaches keys of its slot only"};
  }
  const std::unique_ptr<RedisModuleCallReply, FreeReply> reply(
      redis::Call(ctx.get(), arguments[0].c_str(), format.c_str(), pointers.data() + 1, pointers.size() - 1));
  if (!reply) return Error{"the command cannot run here"};
  if (redis::CallReplyType(reply.get()) == redis::kReplyError) return Error{TextOf(reply.get())};
  return Read(reply.get());
}

class ServerHost final : public ScriptHost {
 public:
  ServerHost(redis::Caller caller, int slot, bool read_only)
      : caller_(std::move(caller)), slot_(slot), read_only_(read_only) {}

  Result<ScriptReply> Execute(const std::vector<std::string>& arguments) override {
    std::optional<int> only_slot;
    if (persist::TracksValueNames() && !OnWorker()) only_slot = slot_;
    return InServer<ScriptReply>([&] { return Call(caller_, only_slot, read_only_, arguments); });
  }

  Result<std::vector<TensorRef>> ExecuteModel(std::string_view key, std::span<const TensorRef> inputs,
                                              size_t output_count) override {
    const auto model = InServer<Model::Ref>([&] {
      const redis::DetachedContext ctx(caller_.database);
      const redis::String name(key);
      return ReadUndeclaredModel(ctx.get(), caller_, name.get());
    });
    if (!model) return model.error();
    return RunModel(**model, inputs, output_count);
  }

 private:
  // What `ask` returns, where the keyspace may be touched.
  template <typename Value>
  static Result<Value> InServer(const std::function<Result<Value>()>& ask) {
    Result<Value> answer = Error{"the server is shutting down"};
    const auto work = [&]() noexcept {
      try {
        answer = ask();
      } catch (const std::exception& error) {
        answer = Error{error.what()};
      }
    };
    if (!OnWorker()) {
      work();
    } else if (!redis::RunOnMainThread(work)) {
      return Error{"the server is shutting down"};
    }
    return answer;
  }

  const redis::Caller caller_;
  const int slot_;
  const bool read_only_;
};

}  // namespace

std::unique_ptr<ScriptHost> MakeScriptHost(redis::Caller caller, RedisModuleString* key, bool read_only) {
  return std::make_unique<ServerHost>(std::move(caller), redis::KeySlot(redis::View(key)), read_only);
}

}  // namespace redisai::commands
