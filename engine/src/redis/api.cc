#include "redis/api.h"

namespace redisai::redis {

#define REDISAI_DEFINE(name, result, ...) result (*name)(__VA_ARGS__) = nullptr;
REDISAI_MODULE_API(REDISAI_DEFINE)
REDISAI_OPTIONAL_MODULE_API(REDISAI_DEFINE)
#undef REDISAI_DEFINE

const char* LoadApi(RedisModuleCtx* ctx) {
  // The context begins with the pointer to RedisModule_GetApi; that is the whole contract of loading.
  using GetApi = int (*)(const char*, void*);
  const auto get_api = *reinterpret_cast<GetApi*>(ctx);
  // First, so that an older server can be told what it lacks.
  get_api("RedisModule_Log", reinterpret_cast<void*>(&Log));
#define REDISAI_FETCH(name, result, ...) \
  if (get_api("RedisModule_" #name, reinterpret_cast<void*>(&name)) != kOk) return #name;
  REDISAI_MODULE_API(REDISAI_FETCH)
#undef REDISAI_FETCH
#define REDISAI_TRY(name, result, ...) get_api("RedisModule_" #name, reinterpret_cast<void*>(&name));
  REDISAI_OPTIONAL_MODULE_API(REDISAI_TRY)
#undef REDISAI_TRY
  return nullptr;
}

}  // namespace redisai::redis
