"""Agent memory: numeric states, compressed by a learned codec inside Redis, recalled in one round trip."""

from modules_store.aio import AsyncRedisAgentMemory
from modules_store.bindings import Binding
from modules_store.client import RedisAgentMemory
from modules_store.errors import (
    CodecMismatchError,
    CodecNotFoundError,
    ConnectionLostError,
    CorruptMemoryError,
    DeadlineExceededError,
    InvalidAgentIdError,
    InvalidInputError,
    InvalidMetadataError,
    InvalidTimestampError,
    MemoryNotFoundError,
    MemoryStoreError,
    MissingModuleError,
    NonFiniteStateError,
    OutOfMemoryError,
    ServerError,
    ServerStartError,
    StateRangeError,
    StateShapeError,
    StateTypeError,
    TimestampExistsError,
    UnsupportedServerError,
)
from modules_store.memories import Memory, ReEncoded, Trimmed
from modules_store.policy import Policy
from modules_store.retention import ByteBudget, Importance, KeepAll, MaxAge, MaxCount, Oldest, Thinning

__all__ = [
    "AsyncRedisAgentMemory",
    "Binding",
    "ByteBudget",
    "CodecMismatchError",
    "CodecNotFoundError",
    "ConnectionLostError",
    "CorruptMemoryError",
    "DeadlineExceededError",
    "Importance",
    "InvalidAgentIdError",
    "InvalidInputError",
    "InvalidMetadataError",
    "InvalidTimestampError",
    "KeepAll",
    "MaxAge",
    "MaxCount",
    "Memory",
    "MemoryNotFoundError",
    "MemoryStoreError",
    "MissingModuleError",
    "NonFiniteStateError",
    "Oldest",
    "OutOfMemoryError",
    "Policy",
    "ReEncoded",
    "RedisAgentMemory",
    "ServerError",
    "ServerStartError",
    "StateRangeError",
    "StateShapeError",
    "StateTypeError",
    "Thinning",
    "TimestampExistsError",
    "Trimmed",
    "UnsupportedServerError",
]
