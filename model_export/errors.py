"""Every exception this package raises of its own; what publishes or writes files also raises
those of `modules_store.errors`.

ModelExportError
├── ConfigError (ValueError)              an argument, or a saved codec, that cannot be right
├── MissingDependencyError (ImportError)  an optional package is not installed
└── VerificationError                     two forms of one codec do not do the same
"""

from __future__ import annotations


class ModelExportError(Exception):
    """Base of every error of this package."""


class ConfigError(ModelExportError, ValueError):
    """An argument was refused; the message names it and says what it must be."""


class MissingDependencyError(ModelExportError, ImportError):
    """An optional package is not installed; the message says how to install it."""


class VerificationError(ModelExportError):
    """Two forms of one codec disagree by more than float rounding explains."""
