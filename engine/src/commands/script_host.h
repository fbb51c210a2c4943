// What running scripts ask of this server: Redis commands and models, with the rights and in the database of
// the client that called the script.
//
// Threads: made and destroyed on the main thread; a worker that runs the script has the main thread do what
// touches the keyspace (redis/main_thread.h), between commands, so that each Redis command of a script is
// atomic by itself and the script is not. Where a script runs on the main thread it is atomic as a whole. A
// model that a script runs, runs on the script's own thread.
#pragma once

#include <memory>

#include "redis/caller.h"
#include "values/script.h"

namespace redisai::commands {

// `key` is one of the running command's own. In a cluster the server looks all keys up in the slot of the
// command that it runs, so a script that runs inside one may reach no other slot.
// `read_only` refuses commands that write.
std::unique_ptr<ScriptHost> MakeScriptHost(redis::Caller caller, RedisModuleString* key, bool read_only);

}  // namespace redisai::commands
