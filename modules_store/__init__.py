"""Agent memory: numeric states, compressed by a learned codec inside Redis, recalled in one round trip."""

from modules_store.bindings import Binding
from modules_store.client import RedisAgentMemory
from modules_store.commands import Memory, ReEncoded
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
    StateRangeError,
    StateShapeError,
    StateTypeError,
    TimestampExistsError,
    UnsupportedServerError,
)

__all__ = [
    "Binding",
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
