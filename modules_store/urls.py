"""The URLs of Redis servers as messages and files may show them: without their passwords."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# Up to the last @, which ends what stands before the host: any other character may be the password's.
_PASSWORD = re.compile(r"(://[^:@]*):.*@", re.DOTALL)
_PASSWORD_OPTION = re.compile(r"([?&][a-z_]*password=)[^&#]*")


def without_password(url: str) -> str:
    """Return the URL with `***` in the place of each password; other text comes back as it is."""
    return _PASSWORD_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))


def why_unusable(url: str, problem: ValueError) -> str:
    """Say why redis-py cannot use a URL, in words that hold no password.

    Where the port is no number, urllib names it, and it may be a password that lacks its `@` or has a `/` in
    it: such a URL is not repeated.
    """
    try:
        _ = urlsplit(url).port
    except ValueError:
        return (
            "the URL's port is no number from 0 to 65535, or its password has a character that must be "
            "percent-encoded (/ as %2F, @ as %40)"
        )
    return f"{without_password(url)!r}: {without_password(str(problem))}"
