"""A trained model as files: TorchScript and ONNX of encoder, decoder and latents, and a manifest of them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from model_export.config import CodecConfig
from model_export.errors import ConfigError
from model_export.graphs import CodecDecoder, CodecEncoder, CodecLatents, Unchecked
from model_export.torchscript import from_bytes, to_bytes, to_onnx
from model_export.train import TrainedCodec
from model_export.vae import FeatureGroupedVAE
from modules_store import files

MANIFEST_FORMAT = 2
# Packages whose versions decide what an export is.
PACKAGES = ("modules-store", "torch", "numpy", "onnx", "faiss-cpu")


@dataclass(frozen=True)
class ExportedCodec:
    """A codec ready to be published: its TorchScript blobs and what is known about them.

    Args:
        config: the codec's shape.
        encoder: TorchScript bytes, FLOAT[B, D] to INT8[B, C].
        decoder: TorchScript bytes, INT8[B, C] to FLOAT[B, D].
        metrics: numbers from training, free form.
        onnx: the same as ONNX, under "encoder", "decoder" and "latents", or empty. They do not refuse NaN.
        history: of the training, see `TrainedCodec`.
        details: what else the manifest says: `normalization` (`mean`, `std`, `low`, `high` of each feature),
            `versions` of packages, `training` (`options`, `data_sha256`, and where states came from),
            `schema` where there is one.
        latents: TorchScript bytes, INT8[B, C] to FLOAT[B, Z], by which memories are compared in the codec's
            own space; None where an earlier export has none.
    """

    config: CodecConfig
    encoder: bytes = field(repr=False)
    decoder: bytes = field(repr=False)
    metrics: dict[str, float] = field(default_factory=dict)
    onnx: dict[str, bytes] = field(default_factory=dict, repr=False)
    history: tuple[dict[str, float | None], ...] = field(default=(), repr=False)
    details: dict[str, Any] = field(default_factory=dict, repr=False)
    latents: bytes | None = field(default=None, repr=False)

    @property
    def models(self) -> dict[str, bytes]:
        """The TorchScript by what it is: "encoder", "decoder" and, where there are any, "latents"."""
        required = {"encoder": self.encoder, "decoder": self.decoder}
        return required if self.latents is None else {**required, "latents": self.latents}

    @property
    def sha256(self) -> dict[str, str]:
        """Content hashes of `models` as hex."""
        return {part: _sha256(blob) for part, blob in self.models.items()}

    @property
    def files(self) -> dict[str, bytes]:
        """What `save` writes beside the manifest, by file name."""
        blobs = {f"{part}.pt": blob for part, blob in self.models.items()}
        return blobs | {f"{part}.onnx": blob for part, blob in self.onnx.items()}

    @property
    def manifest(self) -> dict[str, Any]:
        """What `manifest.json` says, as plain JSON types."""
        return {
            "format": MANIFEST_FORMAT,
            "config": self.config.to_dict(),
            "metrics": self.metrics,
            **self.details,
            "files": {name: _sha256(blob) for name, blob in self.files.items()},
            "history": list(self.history),
        }

    def save(self, folder: str | Path) -> None:
        """Write `encoder.pt`, `decoder.pt`, `latents.pt`, their ONNX where there is one, and `manifest.json`.

        `folder` is made if needed. The manifest comes last and names the hash of every file, so that a folder
        that was written in part is not taken for a codec.
        """
        folder = files.make_folder(folder)
        for name, blob in self.files.items():
            files.write(folder / name, blob)
        files.write(folder / "manifest.json", json.dumps(self.manifest, indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> ExportedCodec:
        """Read what `save` wrote.

        Raises:
            ConfigError: the folder holds no codec, or not the one that its manifest names.
        """
        folder = Path(folder)
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{folder} holds no exported codec: {error}") from error
        if not isinstance(manifest, dict) or manifest.get("format") != MANIFEST_FORMAT:
            raise ConfigError(f"{folder}/manifest.json is not of format {MANIFEST_FORMAT}")
        names = manifest.get("files")
        if not isinstance(names, dict) or not {"encoder.pt", "decoder.pt"} <= names.keys():
            raise ConfigError(f"{folder}/manifest.json must name the files encoder.pt and decoder.pt")
        if any(name != Path(name).name for name in names):
            raise ConfigError(f"{folder}/manifest.json names files outside of its folder")
        try:
            blobs = {name: (folder / name).read_bytes() for name in names}
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder} holds no exported codec: {error}") from error
        if {name: _sha256(blob) for name, blob in blobs.items()} != manifest["files"]:
            raise ConfigError(
                f"the files in {folder} are not those that its manifest names: content hashes differ"
            )
        known = ("format", "config", "metrics", "files", "history")
        try:
            return cls(
                CodecConfig.from_dict(manifest["config"]),
                blobs["encoder.pt"],
                blobs["decoder.pt"],
                dict(manifest["metrics"]),
                {Path(name).stem: blob for name, blob in blobs.items() if name.endswith(".onnx")},
                tuple(manifest["history"]),
                {name: value for name, value in manifest.items() if name not in known},
                blobs.get("latents.pt"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{folder}/manifest.json does not describe a codec: {error!r}") from error

    def modules(self) -> tuple[Any, Any]:
        """Load encoder and decoder for use in this process, on the CPU."""
        return from_bytes(self.encoder), from_bytes(self.decoder)

    def latents_module(self) -> Any:
        """Load what makes latents of codes, None where there is none."""
        return self.latents and from_bytes(self.latents)


def export(
    trained: TrainedCodec | FeatureGroupedVAE,
    name: str,
    *,
    onnx: bool = False,
    details: Mapping[str, Any] | None = None,
) -> ExportedCodec:
    """Turn a trained model into a codec called `name` that Redis can run.

    Args:
        trained: the model, with or without what was measured about it.
        onnx: make ONNX of it, too; for use elsewhere, Redis does not need it.
        details: what the manifest says besides, JSON types by name.

    Raises:
        ConfigError: `name` cannot name a codec.
    """
    if isinstance(trained, FeatureGroupedVAE):
        trained = TrainedCodec(trained, {})
    vae = trained.vae
    config = CodecConfig.from_dict({**vae.config.to_dict(), "name": name})
    with torch.no_grad():
        encoder, decoder, latents = CodecEncoder(vae), CodecDecoder(vae), CodecLatents(vae)
        encoder_blob, decoder_blob, latents_blob = map(to_bytes, (encoder, decoder, latents))
        graphs = {}
        if onnx:
            states, codes = torch.zeros(2, config.input_dim), torch.zeros(2, config.codes, dtype=torch.int8)
            graphs["encoder"] = to_onnx(Unchecked(encoder), states, "states", "codes")
            graphs["decoder"] = to_onnx(Unchecked(decoder), codes, "codes", "states")
            graphs["latents"] = to_onnx(Unchecked(latents), codes, "codes", "latents")
    described = {"normalization": _normalization(vae), "versions": _versions(), **(details or {})}
    return ExportedCodec(
        config,
        encoder_blob,
        decoder_blob,
        dict(trained.metrics),
        graphs,
        trained.history,
        described,
        latents_blob,
    )


def _normalization(vae: FeatureGroupedVAE) -> dict[str, list[float]]:
    return {name: getattr(vae.normalizer, name).tolist() for name in ("mean", "std", "low", "high")}


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _sha256(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()
