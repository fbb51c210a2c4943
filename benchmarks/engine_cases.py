"""What `make bench-engine` sends, and what its figures are held against.

A round maps the name of a case to its figures: of a load those that engine/bench/load.cc prints, of the
bare model `us`, microseconds a call. All ratios are taken within one round, so that a machine that slows down
slows both sides.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

FEATURES = 50
CODES = 25
BARE_ROWS = (1, 64, 1024)

Figures = Mapping[str, float]
Round = Mapping[str, Figures]


@dataclass(frozen=True)
class Case:
    """A request that so many connections send, each `pipeline` at a time; it takes `rows` through a model."""

    name: str
    request: bytes
    connections: int
    pipeline: int = 1
    rows: int = 0

    @property
    def ping(self) -> str:
        """The name of the case that sends PING in the same way."""
        return _ping_name(self.connections, self.pipeline)


@dataclass(frozen=True)
class Aim:
    """A ratio of one round, and the least (or, where `at_most`, the largest) that it is to be.

    `bound` is what the ratio would be if the model's runs, one after the other, were all that took time.
    """

    text: str
    ratio: Callable[[Round], float]
    limit: float
    at_most: bool = False
    bound: Callable[[Round], float] | None = None

    def is_met_by(self, ratio: float) -> bool:
        return ratio <= self.limit if self.at_most else ratio >= self.limit


def encoder() -> bytes:
    """Return the TorchScript archive of a multilayer perceptron of a codec's size."""
    torch.manual_seed(0)
    sizes = (FEATURES, 256, 128, 64, CODES)
    layers: list[torch.nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    archive = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Sequential(*layers[:-1]).eval()), archive)
    return archive.getvalue()


def setup_commands(archive: bytes) -> list[tuple[object, ...]]:
    """Return the commands that store the keys which the cases use."""
    return [
        ("AI.MODELSTORE", "encoder", "TORCH", "CPU", "BLOB", archive),
        ("AI.MODELSTORE", "batched", "TORCH", "CPU", "BATCHSIZE", 32, "BLOB", archive),
        _tensorset("in", 1),
    ]


def cases() -> list[Case]:
    """Return all cases; the PINGs come first."""
    encoding = [
        Case(f"encode {rows:,}, {connections} conn.", _encode("encoder", rows), connections, rows=rows)
        for rows, counts in ((1, (1, 8, 32)), (64, (1, 8)), (1024, (1, 8)))
        for connections in counts
    ]
    execute = _command("AI.MODELEXECUTE", "batched", "INPUTS", 1, "in", "OUTPUTS", 1, "out")
    others = [
        Case("encode 1, pipelined", _encode("encoder", 1), 1, 100, rows=1),
        Case("encode 1, 32 conn., BATCHSIZE 32", _encode("batched", 1), 32, rows=1),
        Case("AI.MODELEXECUTE, 32 conn., BATCHSIZE 32", execute, 32, rows=1),
        Case("AI.TENSORSET, pipelined", _command(*_tensorset("stored", 1)), 1, 100),
        Case("AI.TENSORGET, pipelined", _command("AI.TENSORGET", "in", "BLOB"), 1, 100),
    ]
    pings = [
        Case(_ping_name(connections, pipeline), _command("PING"), connections, pipeline)
        for connections, pipeline in ((1, 1), (8, 1), (32, 1), (1, 100))
    ]
    return pings + encoding + others


def aims() -> list[Aim]:
    """Return what the engine is to reach. The shares of PING are multiples of what RedisAI 1.2 reached."""
    one, ping, ping_32 = "encode 1, 1 conn.", _ping_name(1, 1), _ping_name(32, 1)

    return [
        Aim(
            "1 connection: p50 / (PING's p50 + the bare model's time)",
            lambda figures: figures[one]["p50_us"] / (figures[ping]["p50_us"] + figures[bare_name(1)]["us"]),
            1.5,
            at_most=True,
        ),
        Aim(
            "32 connections, BATCHSIZE 32: requests/s / PING's",
            share_of_rate("encode 1, 32 conn., BATCHSIZE 32", ping_32),
            0.36,
        ),
        Aim(
            "32 connections, each by itself: requests/s / PING's",
            share_of_rate("encode 1, 32 conn.", ping_32),
            0.36,
            bound=_bare_share_of_ping,
        ),
        Aim(
            "pipelined: requests/s / PING's at 32 connections",
            share_of_rate("encode 1, pipelined", ping_32),
            0.29,
            bound=_bare_share_of_ping,
        ),
        Aim(
            "64 rows, 8 connections: rows/s / the bare model's", share_of_bare("encode 64, 8 conn.", 64), 0.8
        ),
        Aim(
            "1,024 rows, 8 connections: rows/s / the bare model's",
            share_of_bare("encode 1,024, 8 conn.", 1024),
            0.8,
        ),
    ]


def share_of_rate(name: str, of: str) -> Callable[[Round], float]:
    """Return the ratio of the requests a second of two cases."""
    return lambda figures: figures[name]["requests_per_second"] / figures[of]["requests_per_second"]


def share_of_bare(name: str, rows: int) -> Callable[[Round], float]:
    """Return the ratio of the rows a second of a case to those of the bare model, called with `rows`."""
    return lambda figures: figures[name]["requests_per_second"] * figures[bare_name(rows)]["us"] / 1e6


def _bare_share_of_ping(figures: Round) -> float:
    return 1e6 / figures[bare_name(1)]["us"] / figures[_ping_name(32, 1)]["requests_per_second"]


def bare_name(rows: int) -> str:
    return f"bare model {rows:,}"


def _ping_name(connections: int, pipeline: int) -> str:
    return f"PING, {connections} conn." if pipeline == 1 else f"PING, {connections} conn., pipelined"


def _encode(model: str, rows: int) -> bytes:
    return _command(
        *("AI.DAGEXECUTE_RO", "ROUTING", "t"),
        *("|>", *_tensorset("x", rows)),
        *("|>", "AI.MODELEXECUTE", model, "INPUTS", 1, "x", "OUTPUTS", 1, "y"),
        *("|>", "AI.TENSORGET", "y", "BLOB"),
    )


def _tensorset(key: str, rows: int) -> tuple[object, ...]:
    states = np.random.default_rng(0).normal(size=(rows, FEATURES)).astype(np.float32)
    return ("AI.TENSORSET", key, "FLOAT", rows, FEATURES, "BLOB", states.tobytes())


def _command(*arguments: object) -> bytes:
    """Return the command as it travels."""
    encoded = [each if isinstance(each, bytes) else str(each).encode() for each in arguments]
    parts = [b"$%d\r\n%b\r\n" % (len(each), each) for each in encoded]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))
