"""Agent memory: numeric states, compressed by a learned codec inside Redis, recalled in one round trip."""

from modules_store.aio import AsyncRedisAgentMemory
from modules_store.bindings import Binding
from modules_store.client import RedisAgentMemory
from modules_store.errors import (
    CodecMismatchError,
    CodecNotFoundError,
    ConnectionLostError,
    CorruptMemoryError,
    FlushError,
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
from modules_store.memories import Memory, ReEncoded
from modules_store.operations.buffering import AsyncBufferedStores, BufferedStores
from modules_store.policy import Oldest, Policy

__all__ = [
    "AsyncBufferedStores",
    "AsyncRedisAgentMemory",
    "Binding",
    "BufferedStores",
    "CodecMismatchError",
    "CodecNotFoundError",
    "ConnectionLostError",
    "CorruptMemoryError",
    "FlushError",
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
    "ServerError",
    "ServerStartError",
    "StateRangeError",
    "StateShapeError",
    "StateTypeError",
    "TimestampExistsError",
    "UnsupportedServerError",
]
