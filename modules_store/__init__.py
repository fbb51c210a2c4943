"""Agent memory: numeric states, compressed by a learned codec inside Redis, recalled in one round trip."""

from modules_store.client import RedisAgentMemory
from modules_store.commands import Memory
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
    ServerError,
    ServerStartError,
    StateShapeError,
    StateTypeError,
    TimestampExistsError,
    UnsupportedServerError,
)

__all__ = [
    "CodecMismatchError",
    "CodecNotFoundError",
    "ConnectionLostError",
    "CorruptMemoryError",
    "InvalidAgentIdError",
    "InvalidInputError",
    "InvalidMetadataError",
    "InvalidTimestampError",
    "Memory",
    "MemoryNotFoundError",
    "MemoryStoreError",
    "MissingModuleError",
    "NonFiniteStateError",
    "OutOfMemoryError",
    "RedisAgentMemory",
    "ServerError",
    "ServerStartError",
    "StateShapeError",
    "StateTypeError",
    "TimestampExistsError",
    "UnsupportedServerError",
]
