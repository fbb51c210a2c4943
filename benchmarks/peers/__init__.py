"""The systems that do the same work: each a small class, this list is all of them."""

from __future__ import annotations

from benchmarks.peers.blueprint import Blueprint
from benchmarks.peers.floors import BareKeys, BarePacked, Codec, RoundTrip
from benchmarks.peers.pipelines import Pipelines
from benchmarks.peers.store import Store
from benchmarks.peers.system import System
from benchmarks.peers.torchrl import TorchRL

BLUEPRINT, RAW, TORCHRL, TORCHRL_SLICES = "blueprint", "raw pipelines", "TorchRL", "TorchRL by slices"
KEYS, PACKED = "keys", "packed"
ROUND_TRIP, BARE_KEYS, BARE_PACKED, CODEC_ALONE = (
    "one round trip",
    "bare SET + ZADD",
    "bare APPEND",
    "codec alone",
)

ALL: tuple[System, ...] = (
    Blueprint(BLUEPRINT),
    Pipelines(RAW),
    TorchRL(TORCHRL),
    TorchRL(TORCHRL_SLICES, by_slices=True),
    Store(KEYS),
    Store(f"{KEYS}, queued", mode="queued"),
    Store(PACKED, layout="packed"),
    Store(f"{PACKED}, queued", layout="packed", mode="queued"),
    RoundTrip(ROUND_TRIP),
    BareKeys(BARE_KEYS),
    BarePacked(BARE_PACKED),
    Codec(CODEC_ALONE),
)

SYSTEMS: dict[str, System] = {system.name: system for system in ALL}
