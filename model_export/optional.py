"""Loads packages that only one part of this one needs, at the moment they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from model_export.errors import MissingDependencyError


def load(module: str, extra: str) -> Any:
    """Import and return `module`, which comes with the extra `extra` of this package.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"cannot import {module} ({error}): pip install 'modules-store[{extra}]'"
        ) from error
