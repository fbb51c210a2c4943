"""Puts an exported codec into Redis under the next version of its name.

    claim a version in the document ──► store encoder ──► store decoder ──► enter the version in the document

A reader that follows the document never finds a version whose models are missing: they are stored before it
is entered. Two publishers never share a version: each claims its own first. A publish that fails leaves an
unused number behind and removes its models; one that is cut off may leave them, but no reader sees them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import redis

from model_export.config import CodecConfig
from model_export.engine import connected, store_model
from model_export.errors import ConfigError
from model_export.export import ExportedCodec
from modules_store import keys

Document = dict[str, Any]


def publish(exported: ExportedCodec, connection: str | redis.Redis, name: str | None = None) -> int:
    """Store a codec's models and enter it in its document `memory_system:NAME`.

    Args:
        exported: the codec.
        connection: a Redis URL, or a client that does not decode responses.
        name: to publish under, where not `exported.config.name`.

    Returns:
        The version it was published as, 1 for the first.

    Raises:
        ConfigError: a codec of that name with another `input_dim` exists, or `name` cannot name a codec.
        MissingModuleError: the server lacks the engine or RedisJSON.
        ConnectionLostError, OutOfMemoryError, ServerError: what the server answered.
    """
    config = CodecConfig.from_dict({**exported.config.to_dict(), "name": name or exported.config.name})
    with connected(connection) as client:
        return _publish(client, config, exported)


def _publish(client: redis.Redis, config: CodecConfig, exported: ExportedCodec) -> int:
    document = keys.codec(config.name)
    version: int = _update_json(client, document, lambda found: _claim(found, config))["claimed"]
    models = {
        keys.encoder(config.name, version): exported.encoder,
        keys.decoder(config.name, version): exported.decoder,
    }
    try:
        for key, blob in models.items():
            store_model(client, key, blob, tag=f"{config.name}:v{version}")
    except BaseException:
        with contextlib.suppress(redis.RedisError):
            for key in models:
                client.delete(key)
        raise
    # From here on the models stay: where the answer to this is lost, the document may point to them.
    entry = _entry(config, version, exported)
    _update_json(client, document, lambda found: _enter(found, config, entry))
    return version


def _claim(found: Document | None, config: CodecConfig) -> Document:
    """Return the document with a version claimed that no publisher had before."""
    document = found or {"name": config.name, "latest": 0, "input_dim": config.input_dim, "versions": {}}
    if document["input_dim"] != config.input_dim:
        raise ConfigError(
            f"codec {config.name!r} takes states of {document['input_dim']} features here, and so must "
            f"all its versions; publish this one, of {config.input_dim} features, under another name"
        )
    last = max(document.get("claimed", 0), *map(int, document["versions"]), 0)
    return {**document, "claimed": last + 1}


def _enter(found: Document | None, config: CodecConfig, entry: Document) -> Document:
    """Return the document with a version whose models are stored."""
    if found is None:
        raise ConfigError(
            f"{keys.codec(config.name)} was deleted while version {entry['version']} was being published"
        )
    versions = {**found["versions"], str(entry["version"]): entry}
    return {**found, "latest": max(map(int, versions)), "versions": versions}


def _entry(config: CodecConfig, version: int, exported: ExportedCodec) -> Document:
    """Return what the document says about one version."""
    return {
        "version": version,
        "codes": config.codes,
        "code_dtype": "INT8",
        "encoder": keys.encoder(config.name, version),
        "decoder": keys.decoder(config.name, version),
        "latent_dim": config.latent_dim,
        "base_compression_level": config.base_compression_level,
        "feature_groups": {
            name: {
                "start": group.start,
                "end": group.end,
                "compression": group.compression,
                "codes": config.dimensions[name].codes,
            }
            for name, group in config.feature_groups.items()
        },
        "training": exported.metrics,
        "sha256": exported.sha256,
        "created_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _update_json(client: redis.Redis, key: str, change: Callable[[Document | None], Document]) -> Document:
    """Replace a JSON document by what `change` makes of it, try again after a conflict."""

    def update(pipe: Any) -> Document:
        text = pipe.execute_command("JSON.GET", key)
        document = change(json.loads(text) if text is not None else None)
        pipe.multi()
        pipe.execute_command("JSON.SET", key, "$", json.dumps(document))
        return document

    document: Document = client.transaction(update, key, value_from_callable=True)
    return document
