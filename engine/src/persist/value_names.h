// Which model or script is under which key of this shard, for lookups that the server cannot do.
//
// In a cluster the server looks every key up in the slot of the running command, so a command whose keys are
// in one slot cannot open a key of another. A DAG's model is such a key: one copy a shard serves all its
// slots. These tables follow the keyspace: what is stored, loaded, copied, renamed, deleted, expired, evicted
// and flushed. Outside a cluster, where keys of several databases may share a name, they stay empty and
// nobody asks them.
//
// Main thread only. They keep no value alive.
#pragma once

#include <string_view>

#include "redis/api.h"
#include "values/model.h"
#include "values/script.h"

namespace redisai::persist {

// Follows the keyspace from now on, if this server is in cluster mode.
void TrackValueNames(RedisModuleCtx* ctx);

// Whether this server is in cluster mode, and models and scripts are to be looked up here.
bool TracksValueNames();

void RememberModel(std::string_view key, const Model::Ref& model);
void RememberScript(std::string_view key, const Script::Ref& script);
void ForgetModel(std::string_view key);
void ForgetScript(std::string_view key);

// Null where there is none.
Model::Ref FindModel(std::string_view key);
Script::Ref FindScript(std::string_view key);

}  // namespace redisai::persist
