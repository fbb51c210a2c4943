"""Every exception this package raises, as one tree, and the map from a server's error text to a class.

MemoryStoreError
├── InvalidInputError (ValueError)     refused before anything is stored; names the argument
│   ├── InvalidAgentIdError
│   ├── StateShapeError                wrong number of features or of dimensions
│   ├── StateRangeError                a value that the codec cannot hold
│   ├── StateTypeError (TypeError)     not numbers
│   ├── NonFiniteStateError            NaN or infinity
│   ├── InvalidMetadataError           not a mapping, or not expressible in JSON
│   └── InvalidTimestampError
├── MemoryNotFoundError (LookupError)  no memory of that agent has that timestamp, or it has none to draw
├── TimestampExistsError               a memory of that agent already has that timestamp
├── CodecNotFoundError                 the codec, or one version of it, is not published on this server
├── CodecMismatchError                 the agent's memories belong to another codec, or are of another length
├── CorruptMemoryError                 a stored value cannot be read as a memory
├── SearchIndexError                   there is no such search index, or one of other fields
├── FlushError                         a buffer could not store all that waits in it; says how much is left
├── ConnectionLostError (ConnectionError)
│   └── DeadlineExceededError (TimeoutError)  the time that the client gives an operation is over
│       └── PoolFullError              no connection of the pool came free in that time
└── ServerError                        the server answered with an error of its own
    ├── AuthenticationFailedError      the user name or password is wrong or missing
    ├── OutOfMemoryError               maxmemory is reached
    ├── MissingModuleError             the engine or RedisJSON is not loaded
    ├── UnsupportedServerError         the server is too old, or its engine cannot do this
    └── ServerStartError               an embedded server did not come up

PrecisionWarning (UserWarning)         is no error: states that differ are equal in float32
"""

from __future__ import annotations

import redis


class MemoryStoreError(Exception):
    """Base of every error of this package."""


class InvalidInputError(MemoryStoreError, ValueError):
    """An argument was refused before anything was stored."""


class InvalidAgentIdError(InvalidInputError):
    """The agent id is not text of 1 to 256 bytes without braces or control characters."""


class StateShapeError(InvalidInputError):
    """A state has another number of features than the codec or the agent has, or of dimensions."""


class StateRangeError(InvalidInputError):
    """A state holds a value that is too large for the codec; the server found it and wrote nothing."""


class StateTypeError(InvalidInputError, TypeError):
    """A state is not made of real numbers."""


class PrecisionWarning(UserWarning):
    """States that differ are equal in float32, in which they are stored and trained on."""


class NonFiniteStateError(InvalidInputError):
    """A state holds NaN or infinity."""


class InvalidMetadataError(InvalidInputError):
    """Metadata is not a mapping with text keys, or JSON cannot express it."""


class InvalidTimestampError(InvalidInputError):
    """A timestamp is not an integer from 0 to 2**53 - 1, a batch repeats one, or a stream has later ones."""


class MemoryNotFoundError(MemoryStoreError, LookupError):
    """No memory of that agent has that timestamp, or it has none to draw from."""


class TimestampExistsError(MemoryStoreError):
    """A memory of that agent already has that timestamp; nothing was written."""


class CodecNotFoundError(MemoryStoreError):
    """The codec, or the version a memory was written with, is not published on this server."""


class CodecMismatchError(MemoryStoreError):
    """The agent's memories belong to a codec of another name, or to states of another length."""


class CorruptMemoryError(MemoryStoreError):
    """A stored value cannot be read as a memory."""


class SearchIndexError(MemoryStoreError):
    """There is no such search index, or one of the same name and other fields."""


class FlushError(MemoryStoreError):
    """A buffer could not store all that waits in it; the rest waits on. Its cause is the first problem."""

    def __init__(self, message: str, left: int) -> None:
        super().__init__(message)
        self.left = left
        """How many states still wait."""


class ConnectionLostError(MemoryStoreError, ConnectionError):
    """The server cannot be reached, or the connection broke before the answer came."""


class DeadlineExceededError(ConnectionLostError, TimeoutError):
    """An operation took longer than the client's `timeout_s`; the server may have done it."""


class PoolFullError(DeadlineExceededError):
    """All `max_connections` connections were in use until `timeout_s` was over; the command was not sent."""


class ServerError(MemoryStoreError):
    """The server answered with an error."""


class AuthenticationFailedError(ServerError):
    """The server refused the user name or the password, or wants one; nothing was done."""


class OutOfMemoryError(ServerError):
    """The server has reached maxmemory; nothing was written."""


class MissingModuleError(ServerError):
    """The server lacks a module this package needs."""


class UnsupportedServerError(ServerError):
    """The server is older than this package supports, a cluster where an operation needs one without, or its
    engine runs no models inside scripts."""


class ServerStartError(ServerError):
    """An embedded server did not become ready; the message ends with the tail of its log."""


# The scripts answer `MEMERR CODE detail`; one table says what each code means to the caller.
_CLASS_OF_CODE: dict[str, type[MemoryStoreError]] = {
    "BADARG": InvalidInputError,
    "BADSTATE": NonFiniteStateError,
    "BADSHAPE": StateShapeError,
    "BADRANGE": StateRangeError,
    "BADMETA": InvalidMetadataError,
    "BADORDER": InvalidTimestampError,
    "NOTFOUND": MemoryNotFoundError,
    "LOST": MemoryNotFoundError,
    "EXISTS": TimestampExistsError,
    "NOCODEC": CodecNotFoundError,
    "NOMODELS": UnsupportedServerError,
    "OTHERCODEC": CodecMismatchError,
    "CORRUPT": CorruptMemoryError,
    "UNSURE": ConnectionLostError,
    "BADQUERY": InvalidInputError,
    "NOINDEX": SearchIndexError,
    "CLUSTERED": UnsupportedServerError,
}


# Of redis-py these are connection errors, but another attempt cannot help.
_NOT_ADMITTED = (redis.exceptions.AuthenticationError, redis.exceptions.AuthorizationError)


def from_redis_error(error: redis.RedisError) -> MemoryStoreError:  # noqa: PLR0911
    """Return this package's exception for an error that redis-py raised."""
    text = str(error)
    if isinstance(error, _NOT_ADMITTED) or text.startswith(("NOAUTH", "WRONGPASS")):
        return AuthenticationFailedError(f"the server refused the user name or the password: {text}")
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return ConnectionLostError(f"the Redis server cannot be reached or did not answer: {text}")
    _, found, tail = text.partition("MEMERR ")
    if found:
        code, _, detail = tail.partition(" ")
        return _CLASS_OF_CODE.get(code, ServerError)(detail)
    if isinstance(error, redis.exceptions.ClusterCrossSlotError) or text.startswith("CROSSSLOT"):
        return InvalidInputError(
            "the agents are in several hash slots of the cluster, and one call takes agents of one slot "
            "(CLUSTER KEYSLOT tells that of an id): call once for each agent, or slot"
        )
    if isinstance(error, redis.exceptions.OutOfMemoryError) or text.startswith("OOM"):
        return OutOfMemoryError(f"nothing was written: {text}")
    lowered = text.lower()
    if "unknown redis command" in lowered or "unknown command" in lowered:
        return MissingModuleError(
            f"the server lacks a command this package needs ({text}); load the engine (redisai.so) and "
            "RedisJSON, or start one with `modules-store serve`"
        )
    return ServerError(text)
