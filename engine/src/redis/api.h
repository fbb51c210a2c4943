// Our declaration of the Redis Modules API: the functions, types and constants the engine uses, from the
// reference at redis.io/docs/latest/develop/reference/modules/modules-api-ref. Works with Redis 7.2 and later
// and with Valkey 8.
//
// The server gives each function by name when the module loads (LoadApi). Callbacks are C function pointers.
#pragma once

#include <cstddef>
#include <cstdint>

struct RedisModuleCtx;
struct RedisModuleString;
struct RedisModuleKey;
struct RedisModuleType;
struct RedisModuleIO;
struct RedisModuleDigest;
struct RedisModuleBlockedClient;
struct RedisModuleScanCursor;
struct RedisModuleUser;
struct RedisModuleInfoCtx;
struct RedisModuleCallReply;
struct RedisModuleCommand;

using RedisModuleTimerID = uint64_t;

struct RedisModuleEvent {
  uint64_t id;
  uint64_t dataver;
};

namespace redisai::redis {

struct CommandInfo;

inline constexpr int kOk = 0;
inline constexpr int kErr = 1;
inline constexpr int kApiVersion = 1;

enum OpenMode { kRead = 1 << 0, kWrite = 1 << 1 };

enum KeyType { kKeyEmpty = 0, kKeyModule = 6 };

enum ContextFlag {
  kInLua = 1 << 0,
  kInMulti = 1 << 1,
  kInCluster = 1 << 5,
  kFromMaster = 1 << 12,
  kLoading = 1 << 13,
  kDenyBlocking = 1 << 21,
};

// The module promises to look for read errors itself while loading, and to cope with data that is loaded
// aside.
enum ModuleOption { kHandleIoErrors = 1 << 0 };

enum NotifyClass { kNotifyGeneric = 1 << 2, kNotifyModule = 1 << 13 };

enum KeyAccess { kAccessKey = 1 << 4 };

// How a command uses a key that it reports; what ACL rules such as %R~ and %W~ are held against.
enum KeyUse {
  kReadsKey = 1 << 0 | 1 << 4,
  kOverwritesKey = 1 << 2 | 1 << 5,
  kDeletesKey = 1 << 3 | 1 << 7,
  kRoutesByKey = 1 << 0,  // neither read nor written
};

inline constexpr RedisModuleEvent kFlushEvent = {2, 1};
inline constexpr RedisModuleEvent kShutdownEvent = {5, 1};
inline constexpr RedisModuleEvent kEventLoopEvent = {15, 1};

// Of kEventLoopEvent.
enum EventLoopSubevent { kBeforeSleep = 0, kAfterSleep = 1 };

// Of a configuration's value: settable only while the module loads; may be written as 1mb.
enum ConfigFlag { kConfigDefault = 0, kConfigImmutable = 1 << 0, kConfigMemory = 1 << 7 };

enum ReplyType { kReplyString = 0, kReplyError = 1, kReplyInteger = 2, kReplyArray = 3, kReplyNull = 4 };

using CommandFunction = int (*)(RedisModuleCtx*, RedisModuleString**, int);
using FreePrivateData = void (*)(RedisModuleCtx*, void*);
using EventFunction = void (*)(RedisModuleCtx*, RedisModuleEvent, uint64_t, void*);
using KeyspaceFunction = int (*)(RedisModuleCtx*, int, const char*, RedisModuleString*);
using TimerFunction = void (*)(RedisModuleCtx*, void*);
using InfoFunction = void (*)(RedisModuleInfoCtx*, int);
using OneShotFunction = void (*)(void*);
using GetNumberFunction = long long (*)(const char*, void*);
using SetNumberFunction = int (*)(const char*, long long, void*, RedisModuleString**);
using GetStringFunction = RedisModuleString* (*)(const char*, void*);
using SetStringFunction = int (*)(const char*, RedisModuleString*, void*, RedisModuleString**);
using ApplyConfigFunction = int (*)(RedisModuleCtx*, void*, RedisModuleString**);
using ScanFunction = void (*)(RedisModuleCtx*, RedisModuleString*, RedisModuleKey*, void*);

// The layout is the server's, version 5; what we do not use stays null.
struct TypeMethods {
  uint64_t version = 5;
  void* (*rdb_load)(RedisModuleIO*, int) = nullptr;
  void (*rdb_save)(RedisModuleIO*, void*) = nullptr;
  void (*aof_rewrite)(RedisModuleIO*, RedisModuleString*, void*) = nullptr;
  size_t (*mem_usage)(const void*) = nullptr;
  void (*digest)(RedisModuleDigest*, void*) = nullptr;
  void (*free)(void*) = nullptr;
  void* aux_load = nullptr;
  void* aux_save = nullptr;
  int aux_save_triggers = 0;
  size_t (*free_effort)(RedisModuleString*, const void*) = nullptr;
  void (*unlink)(RedisModuleString*, const void*) = nullptr;
  void* (*copy)(RedisModuleString*, RedisModuleString*, const void*) = nullptr;
  void* defrag = nullptr;
  void* mem_usage2 = nullptr;
  void* free_effort2 = nullptr;
  void* unlink2 = nullptr;
  void* copy2 = nullptr;
  void* aux_save2 = nullptr;
};

// clang-format off
#define REDISAI_MODULE_API(F)                                                                             \
  F(CreateCommand, int, RedisModuleCtx*, const char*, CommandFunction, const char*, int, int, int)        \
  F(GetCommand, RedisModuleCommand*, RedisModuleCtx*, const char*)                                        \
  F(SetCommandInfo, int, RedisModuleCommand*, const CommandInfo*)                                         \
  F(SetCommandACLCategories, int, RedisModuleCommand*, const char*)                                       \
  F(RegisterNumericConfig, int, RedisModuleCtx*, const char*, long long, unsigned, long long, long long, GetNumberFunction, SetNumberFunction, ApplyConfigFunction, void*) \
  F(RegisterStringConfig, int, RedisModuleCtx*, const char*, const char*, unsigned, GetStringFunction, SetStringFunction, ApplyConfigFunction, void*) \
  F(LoadConfigs, int, RedisModuleCtx*)                                                                    \
  F(SetModuleAttribs, void, RedisModuleCtx*, const char*, int, int)                                       \
  F(IsModuleNameBusy, int, const char*)                                                                   \
  F(SetModuleOptions, void, RedisModuleCtx*, int)                                                         \
  F(TryAlloc, void*, size_t)                                                                              \
  F(Free, void, void*)                                                                                    \
  F(MallocSize, size_t, void*)                                                                            \
  F(WrongArity, int, RedisModuleCtx*)                                                                     \
  F(ReplyWithLongLong, int, RedisModuleCtx*, long long)                                                   \
  F(ReplyWithError, int, RedisModuleCtx*, const char*)                                                    \
  F(ReplyWithSimpleString, int, RedisModuleCtx*, const char*)                                             \
  F(ReplyWithArray, int, RedisModuleCtx*, long)                                                           \
  F(ReplyWithNull, int, RedisModuleCtx*)                                                                  \
  F(ReplyWithStringBuffer, int, RedisModuleCtx*, const char*, size_t)                                     \
  F(CreateString, RedisModuleString*, RedisModuleCtx*, const char*, size_t)                               \
  F(HoldString, RedisModuleString*, RedisModuleCtx*, RedisModuleString*)                                  \
  F(FreeString, void, RedisModuleCtx*, RedisModuleString*)                                                \
  F(StringPtrLen, const char*, const RedisModuleString*, size_t*)                                         \
  F(OpenKey, RedisModuleKey*, RedisModuleCtx*, RedisModuleString*, int)                                   \
  F(CloseKey, void, RedisModuleKey*)                                                                      \
  F(KeyType, int, RedisModuleKey*)                                                                        \
  F(DeleteKey, int, RedisModuleKey*)                                                                      \
  F(GetAbsExpire, long long, RedisModuleKey*)                                                             \
  F(Milliseconds, long long, )                                                                            \
  F(CreateDataType, RedisModuleType*, RedisModuleCtx*, const char*, int, TypeMethods*)                    \
  F(ModuleTypeSetValue, int, RedisModuleKey*, RedisModuleType*, void*)                                    \
  F(ModuleTypeGetType, RedisModuleType*, RedisModuleKey*)                                                 \
  F(ModuleTypeGetValue, void*, RedisModuleKey*)                                                           \
  F(SaveUnsigned, void, RedisModuleIO*, uint64_t)                                                         \
  F(LoadUnsigned, uint64_t, RedisModuleIO*)                                                               \
  F(SaveStringBuffer, void, RedisModuleIO*, const char*, size_t)                                          \
  F(LoadStringBuffer, char*, RedisModuleIO*, size_t*)                                                     \
  F(GetKeyNameFromIO, const RedisModuleString*, RedisModuleIO*)                                           \
  F(IsIOError, int, RedisModuleIO*)                                                                       \
  F(EmitAOF, void, RedisModuleIO*, const char*, const char*, ...)                                         \
  F(LogIOError, void, RedisModuleIO*, const char*, const char*, ...)                                      \
  F(Log, void, RedisModuleCtx*, const char*, const char*, ...)                                            \
  F(DigestAddStringBuffer, void, RedisModuleDigest*, const char*, size_t)                                 \
  F(DigestAddLongLong, void, RedisModuleDigest*, long long)                                               \
  F(DigestEndSequence, void, RedisModuleDigest*)                                                          \
  F(BlockClient, RedisModuleBlockedClient*, RedisModuleCtx*, CommandFunction, CommandFunction, FreePrivateData, long long) \
  F(UnblockClient, int, RedisModuleBlockedClient*, void*)                                                 \
  F(BlockedClientMeasureTimeStart, int, RedisModuleBlockedClient*)                                        \
  F(BlockedClientMeasureTimeEnd, int, RedisModuleBlockedClient*)                                          \
  F(GetBlockedClientPrivateData, void*, RedisModuleCtx*)                                                  \
  F(CreateTimer, RedisModuleTimerID, RedisModuleCtx*, long long, TimerFunction, void*)                    \
  F(StopTimer, int, RedisModuleCtx*, RedisModuleTimerID, void**)                                          \
  F(GetContextFlags, int, RedisModuleCtx*)                                                                \
  F(IsKeysPositionRequest, int, RedisModuleCtx*)                                                          \
  F(KeyAtPosWithFlags, void, RedisModuleCtx*, int, int)                                                   \
  F(RegisterInfoFunc, int, RedisModuleCtx*, InfoFunction)                                                 \
  F(InfoAddSection, int, RedisModuleInfoCtx*, const char*)                                                \
  F(InfoAddFieldCString, int, RedisModuleInfoCtx*, const char*, const char*)                              \
  F(InfoAddFieldLongLong, int, RedisModuleInfoCtx*, const char*, long long)                               \
  F(Replicate, int, RedisModuleCtx*, const char*, const char*, ...)                                       \
  F(NotifyKeyspaceEvent, int, RedisModuleCtx*, int, const char*, RedisModuleString*)                      \
  F(SubscribeToServerEvent, int, RedisModuleCtx*, RedisModuleEvent, EventFunction)                        \
  F(SubscribeToKeyspaceEvents, int, RedisModuleCtx*, int, KeyspaceFunction)                               \
  F(ScanCursorCreate, RedisModuleScanCursor*, )                                                           \
  F(ScanCursorDestroy, void, RedisModuleScanCursor*)                                                      \
  F(Scan, int, RedisModuleCtx*, RedisModuleScanCursor*, ScanFunction, void*)                              \
  F(GetClientId, unsigned long long, RedisModuleCtx*)                                                     \
  F(GetCurrentUserName, RedisModuleString*, RedisModuleCtx*)                                              \
  F(GetModuleUserFromUserName, RedisModuleUser*, RedisModuleString*)                                      \
  F(FreeModuleUser, int, RedisModuleUser*)                                                                \
  F(ACLCheckKeyPermissions, int, RedisModuleUser*, RedisModuleString*, int)                               \
  F(GetThreadSafeContext, RedisModuleCtx*, RedisModuleBlockedClient*)                                      \
  F(FreeThreadSafeContext, void, RedisModuleCtx*)                                                         \
  F(GetSelectedDb, int, RedisModuleCtx*)                                                                  \
  F(SelectDb, int, RedisModuleCtx*, int)                                                                  \
  F(SetContextUser, void, RedisModuleCtx*, const RedisModuleUser*)                                        \
  F(EventLoopAddOneShot, int, OneShotFunction, void*)                                                     \
  F(Call, RedisModuleCallReply*, RedisModuleCtx*, const char*, const char*, ...)                          \
  F(GetCommandKeys, int*, RedisModuleCtx*, RedisModuleString**, int, int*)                                \
  F(FreeCallReply, void, RedisModuleCallReply*)                                                           \
  F(CallReplyType, int, RedisModuleCallReply*)                                                            \
  F(CallReplyInteger, long long, RedisModuleCallReply*)                                                   \
  F(CallReplyLength, size_t, RedisModuleCallReply*)                                                       \
  F(CallReplyStringPtr, const char*, RedisModuleCallReply*, size_t*)                                      \
  F(CallReplyArrayElement, RedisModuleCallReply*, RedisModuleCallReply*, size_t)

// Null where the server is too old for them: Redis 7.4 and Valkey 8 have AddACLCategory.
#define REDISAI_OPTIONAL_MODULE_API(F)                                                                    \
  F(AddACLCategory, int, RedisModuleCtx*, const char*)

#define REDISAI_DECLARE(name, result, ...) extern result (*name)(__VA_ARGS__);
REDISAI_MODULE_API(REDISAI_DECLARE)
REDISAI_OPTIONAL_MODULE_API(REDISAI_DECLARE)
#undef REDISAI_DECLARE
// clang-format on

// Fetches every function from the server; null, or the name of one that this server lacks and must have.
const char* LoadApi(RedisModuleCtx* ctx);

}  // namespace redisai::redis
