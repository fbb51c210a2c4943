"""The codecs that come with this package: the commands that publish them, from files and without torch.

`codecs/NAME/` holds a codec's TorchScript and its manifest; `model_export` made them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modules_store import copies, keys
from modules_store.commands import Command, command
from modules_store.copies import PARTS, CodecCopy

NAMES = frozenset({"float16"})

_CODECS = Path(__file__).with_name("codecs")


def publication(name: str) -> list[Command]:
    """Return the commands that publish the built-in codec `name` where no codec of that name is published.

    The models come first, so that no reader of the document misses one. Clients that do this at once write
    the same.
    """
    document = _document(name)
    models = copies.publication(copy(name), name, document["latest"])
    return [*models, command("JSON.SET", keys.codec(name), "$", json.dumps(document), "NX")]


def copy(name: str) -> CodecCopy:
    """Return the models of the built-in codec `name`."""
    return CodecCopy(*((_CODECS / name / f"{part}.pt").read_bytes() for part in PARTS))


def hashes(name: str, version: int) -> dict[str, str] | None:
    """Return the content hashes of a version of the built-in codec `name`, None where there is no such."""
    manifest = _manifest(name)
    return dict(manifest["sha256"]) if manifest["version"] == version else None


def _manifest(name: str) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((_CODECS / name / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def _document(name: str) -> dict[str, Any]:
    """Return `memory_system:NAME`. Null `input_dim` and `codes`: states of any length, a code a feature."""
    manifest = _manifest(name)
    version = manifest["version"]
    entry = {
        "version": version,
        "codes": None,
        "code_dtype": manifest["code_dtype"],
        "encoder": keys.encoder(name, version),
        "decoder": keys.decoder(name, version),
        "sha256": manifest["sha256"],
    }
    return {"name": name, "latest": version, "input_dim": None, "versions": {str(version): entry}}
