"""The codecs that come with this package: the commands that publish them, from files and without torch.

`codecs/NAME/` holds a codec's TorchScript and its manifest; `model_export` made them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modules_store import keys
from modules_store.commands import Command, command

NAMES = frozenset({"float16"})

_CODECS = Path(__file__).with_name("codecs")


def publication(name: str) -> list[Command]:
    """Return the commands that publish the built-in codec `name` where no codec of that name is published.

    The models come first, so that no reader of the document misses one. Clients that do this at once write
    the same. A state is its own latents here, so what decodes it makes them, too.
    """
    document = _document(name)
    entry = document["versions"][str(document["latest"])]
    models: list[Command] = [
        command(
            "AI.MODELSTORE", entry[part], "TORCH", "CPU", "TAG", f"{name}:v{entry['version']}", "BLOB", blob
        )
        for part, file in (("encoder", "encoder.pt"), ("decoder", "decoder.pt"), ("latents", "decoder.pt"))
        for blob in [(_CODECS / name / file).read_bytes()]
    ]
    return [*models, command("JSON.SET", keys.codec(name), "$", json.dumps(document), "NX")]


def _document(name: str) -> dict[str, Any]:
    """Return `memory_system:NAME`. Null `input_dim` and `codes`: states of any length, a code a feature."""
    manifest = json.loads((_CODECS / name / "manifest.json").read_text(encoding="utf-8"))
    version = manifest["version"]
    entry = {
        "version": version,
        "codes": None,
        "code_dtype": manifest["code_dtype"],
        "encoder": keys.encoder(name, version),
        "decoder": keys.decoder(name, version),
        "latents": keys.latents(name, version),
        "sha256": manifest["sha256"],
    }
    return {"name": name, "latest": version, "input_dim": None, "versions": {str(version): entry}}
