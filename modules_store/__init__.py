"""Agent memory: numeric states, compressed by a learned codec inside Redis, recalled in one round trip."""

from modules_store.aio import AsyncRedisAgentMemory
from modules_store.bindings import Binding
from modules_store.client import RedisAgentMemory
from modules_store.errors import (
    CodecMismatchError,
    CodecNotFoundError,
    ConnectionLostError,
    CorruptMemoryError,
    InvalidAgentIdError,
    InvalidInputError,
    InvalidMetadataError,
    InvalidTimestampError,
    MemoryNotFoundError,
    MemoryStoreError,
    MissingModuleError,
    NonFiniteStateError,
    OutOfMemoryError,
    SearchIndexError,
    ServerError,
    ServerStartError,
    StateRangeError,
    StateShapeError,
    StateTypeError,
    TimestampExistsError,
    UnsupportedServerError,
)
from modules_store.memories import Found, Memory, ReEncoded, Similar
from modules_store.policy import Oldest, Policy

__all__ = [
    "AsyncRedisAgentMemory",
    "Binding",
    "CodecMismatchError",
    "CodecNotFoundError",
    "ConnectionLostError",
    "CorruptMemoryError",
    "Found",
    "InvalidAgentIdError",
    "InvalidInputError",
    "InvalidMetadataError",
    "InvalidTimestampError",
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
    "SearchIndexError",
    "ServerError",
    "ServerStartError",
    "Similar",
    "StateRangeError",
    "StateShapeError",
    "StateTypeError",
    "TimestampExistsError",
    "UnsupportedServerError",
]
