"""Puts an exported codec into Redis under the next version of its name, and takes a version back.

    claim a version in the document ──► store models and manifest ──► enter the version in the document

A reader that follows the document never finds a version whose models are missing: they are stored before it
is entered. Two publishers never share a version: each claims its own first. A publish that fails leaves an
unused number behind and removes its models; one that is cut off may leave them, but no reader sees them.
`latest` is the version for whoever asks for none. A rollback only sets that: the models of the versions after
it stay, since memories may be of them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import redis

from model_export import float16
from model_export.config import CodecConfig
from model_export.engine import connected, store_model
from model_export.errors import ConfigError
from model_export.export import ExportedCodec
from modules_store import keys

Document = dict[str, Any]

_KEY_OF = {"encoder": keys.encoder, "decoder": keys.decoder, "latents": keys.latents}


def publish(exported: ExportedCodec, connection: str | redis.Redis, name: str | None = None) -> int:
    """Store a codec's models and enter it in its document `memory_system:NAME`.

    Args:
        exported: the codec.
        connection: a Redis URL, or a client that does not decode responses.
        name: to publish under, where not `exported.config.name`.

    Returns:
        The version it was published as, 1 for the first.

    Raises:
        ConfigError: a codec of that name with another `input_dim` exists, or `name` cannot name a codec; the
            built-in codecs keep theirs.
        MissingModuleError: the server lacks the engine or RedisJSON.
        ConnectionLostError, OutOfMemoryError, ServerError: what the server answered.
    """
    config = CodecConfig.from_dict({**exported.config.to_dict(), "name": name or exported.config.name})
    if config.name == float16.NAME:
        raise ConfigError(f"name {config.name!r} is that of the built-in codec; publish under another one")
    with connected(connection) as client:
        return _publish(client, config, exported)


def rollback(connection: str | redis.Redis, name: str, version: int | None = None) -> int:
    """Make an earlier version of a codec its latest, for clients that fetch the codec from now on.

    Args:
        connection: a Redis URL, or a client that does not decode responses.
        name: of the codec.
        version: to make the latest, of those published; None for the one before the present latest.

    Returns:
        The version that is the latest now.

    Raises:
        ConfigError: there is no such codec or version, or a model of it is no longer on the server.
        MissingModuleError, ConnectionLostError, ServerError: what the server answered.
    """
    with connected(connection) as client:
        document = keys.codec(name)
        return int(
            _update_json(client, document, lambda found: _roll_back(client, found, name, version))["latest"]
        )


def _publish(client: redis.Redis, config: CodecConfig, exported: ExportedCodec) -> int:
    document = keys.codec(config.name)
    version: int = _update_json(client, document, lambda found: _claim(found, config))["claimed"]
    models = {_KEY_OF[part](config.name, version): blob for part, blob in exported.models.items()}
    manifest = keys.manifest(config.name, version)
    try:
        for key, blob in models.items():
            store_model(client, key, blob, tag=f"{config.name}:v{version}")
        client.execute_command("JSON.SET", manifest, "$", json.dumps(exported.manifest))
    except BaseException:
        with contextlib.suppress(redis.RedisError):
            for key in (*models, manifest):
                client.delete(key)
        raise
    # From here on these stay: where the answer to this is lost, the document may point to them.
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
    # Publishers that overlap may end in any order, and a version that was rolled back stays so.
    return {**found, "latest": max(found["latest"], entry["version"]), "versions": versions}


def _roll_back(client: redis.Redis, found: Document | None, name: str, version: int | None) -> Document:
    """Return the document with another latest version, whose models are there."""
    if found is None:
        raise ConfigError(f"codec {name!r} is not published on this server: there is no {keys.codec(name)}")
    entered = sorted(map(int, found["versions"]))
    before = [number for number in entered if number < found["latest"]]
    if version is None and not before:
        raise ConfigError(f"codec {name!r} has no version before its latest, {found['latest']}")
    wanted = before[-1] if version is None else version
    if wanted not in entered:
        have = ", ".join(map(str, entered)) or "none"
        raise ConfigError(f"version must be one of codec {name!r} ({have}), not {wanted!r}")
    entry = found["versions"][str(wanted)]
    for key in (entry[part] for part in _KEY_OF if part in entry):
        if not client.exists(key):
            raise ConfigError(f"version {wanted} of codec {name!r} cannot be used: {key} is no longer there")
    return {**found, "latest": wanted}


def _entry(config: CodecConfig, version: int, exported: ExportedCodec) -> Document:
    """Return what the document says about one version."""
    return {
        "version": version,
        "codes": config.codes,
        "code_dtype": "INT8",
        **{part: _KEY_OF[part](config.name, version) for part in exported.models},
        "manifest": keys.manifest(config.name, version),
        "bottleneck": config.bottleneck,
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
