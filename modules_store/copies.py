"""Copies of codecs that a client has as files: what it can publish again where Redis has evicted a model.

A folder is one that `model_export` wrote: `encoder.pt`, `decoder.pt` and `manifest.json`, which names the
SHA-256 of each. Which published version a copy is, these hashes say, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules_store import errors, keys
from modules_store.commands import Command, command

PARTS = ("encoder", "decoder")

Folder = str | os.PathLike[str]


@dataclass(frozen=True)
class CodecCopy:
    """The TorchScript of one codec."""

    encoder: bytes = field(repr=False)
    decoder: bytes = field(repr=False)

    @property
    def sha256(self) -> dict[str, str]:
        """Content hashes as hex, of encoder and decoder."""
        return {part: hashlib.sha256(getattr(self, part)).hexdigest() for part in PARTS}


def publication(copy: CodecCopy, name: str, version: int) -> list[Command]:
    """Return the commands that store the models of one version of a codec; sent again they do no harm."""
    named = ((keys.encoder(name, version), copy.encoder), (keys.decoder(name, version), copy.decoder))
    tag = f"{name}:v{version}"
    return [command("AI.MODELSTORE", key, "TORCH", "CPU", "TAG", tag, "BLOB", blob) for key, blob in named]


def load(folder: Folder) -> CodecCopy:
    """Read a codec's files; InvalidInputError where there are none, or others than the manifest names."""
    path = Path(folder)
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        copy = CodecCopy(*((path / f"{part}.pt").read_bytes() for part in PARTS))
        named = hashes(manifest)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise errors.InvalidInputError(
            f"codec_files: {path} holds no exported codec: {problem!r}"
        ) from problem
    if named != copy.sha256:
        raise errors.InvalidInputError(
            f"codec_files: the files in {path} are not those that its manifest names: content hashes differ"
        )
    return copy


def load_all(codec_files: Folder | Iterable[Folder] | None) -> list[CodecCopy]:
    """Read one folder or several."""
    if codec_files is None:
        return []
    if isinstance(codec_files, str | os.PathLike):
        return [load(codec_files)]
    if not isinstance(codec_files, Iterable):
        raise errors.InvalidInputError(
            f"codec_files is of type {type(codec_files).__name__}, not the path of a folder or several"
        )
    return [load(folder) for folder in codec_files]


def hashes(manifest: dict[str, Any]) -> dict[str, str]:
    """Return the hashes of both models that a manifest names; KeyError or TypeError where it names none."""
    return {part: str(manifest["files"][f"{part}.pt"]) for part in PARTS}
