"""Payloads of DUMP with another content, for a server that was told not to look at checksums."""

from __future__ import annotations

TYPE_BYTES = 10
"""The value's type, and the name and version of ours."""

FOOTER_BYTES = 10
"""The version of the RDB format, and the checksum."""

SKIP_CHECKSUMS = ("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 1)
"""The command that makes a server take every checksum."""


def content(payload: bytes) -> bytes:
    """Return what our type wrote, and the end mark behind it."""
    return payload[TYPE_BYTES:-FOOTER_BYTES]


def with_content(payload: bytes, new: bytes) -> bytes:
    """Return the payload with `new` for its content."""
    return payload[:TYPE_BYTES] + new + payload[-FOOTER_BYTES:]
