"""What the soak's clients do: each operation knows which replies are right, and what a result must be.

Models and scripts are shared, stored anew and deleted by everyone; tensors are each client's own. This module
runs in processes of its own and imports no torch.
"""

from __future__ import annotations

import multiprocessing
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import redis

from tests.endurance.wire import pack, to_bytes

SHARED_KEYS = 3
ROWS = (1, 2, 7)
COLUMNS = 25
BATCHING = ["BATCHSIZE", 8, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 5]
REPORT_INTERVAL_S = 0.5
LUA = "return redis.call('AI.MODELEXECUTE', KEYS[1], 'INPUTS', 1, KEYS[2], 'OUTPUTS', 1, KEYS[3])"

# Errors that are right while others delete what one asks for.
GONE = ("model key is empty", "script key is empty")


@dataclass(frozen=True)
class Plan:
    """What a process of clients has to know. `double` is the archive of a model that doubles its input."""

    socket_path: str
    seed: int
    clients: int
    seconds: float
    double: bytes
    script: list


@dataclass(frozen=True)
class Report:
    """Outcomes since the last report, counted by operation; and what no client should have got."""

    outcomes: Counter[tuple[str, str]]
    unexpected: list[str]


class Unexpected(Exception):
    """A reply or a result that is wrong."""


class Client:
    """One connection and its operations."""

    def __init__(self, plan: Plan, name: str) -> None:
        self._plan = plan
        self._random = Random(f"{plan.seed} {name}")
        self._server = redis.Redis(unix_socket_path=plan.socket_path, socket_timeout=60)
        self._x, self._y = f"{name}:x", f"{name}:y"
        self._operations: list[tuple[int, Callable[[], str]]] = [
            (20, self.set_and_get),
            (20, self.execute_model),
            (20, self.execute_batching_model),
            (15, self.execute_script),
            (20, self.execute_dag),
            (10, self.pipeline),
            (10, self.call_from_lua),
            (5, self.disconnect),
            (6, self.store_model),
            (3, self.store_script),
            (1, self.delete),
        ]

    def step(self) -> tuple[str, str]:
        """Do one operation; return its name and outcome. Raises Unexpected."""
        weights = [weight for weight, _ in self._operations]
        operation = self._random.choices(self._operations, weights)[0][1]
        try:
            return operation.__name__, operation()
        except redis.ResponseError as error:
            if not str(error).startswith(GONE):
                raise Unexpected(f"{operation.__name__}: {error}") from error
            return operation.__name__, next(text for text in GONE if str(error).startswith(text))

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def _send(self, *command):
        return self._server.execute_command(*command)

    def _key(self, kind: str) -> str:
        return f"{kind}:{self._random.randrange(SHARED_KEYS)}"

    def _set_x(self) -> bytes:
        """Store a random tensor of floats; return what doubling it gives."""
        rows = self._random.choice(ROWS)
        values = [self._random.uniform(-1, 1) for _ in range(rows * COLUMNS)]
        x = struct.pack(f"<{len(values)}f", *values)
        self._send("AI.TENSORSET", self._x, "FLOAT", rows, COLUMNS, "BLOB", x)
        return struct.pack(f"<{len(values)}f", *(2 * value for value in struct.unpack(f"<{len(values)}f", x)))

    def _expect(self, got: object, wanted: object) -> str:
        if got != wanted:
            raise Unexpected(f"{got!r} where {wanted!r} was expected"[:500])
        return "OK"

    def _expect_y(self, doubled: bytes) -> str:
        return self._expect(self._send("AI.TENSORGET", self._y, "BLOB"), doubled)

    def set_and_get(self) -> str:
        self._set_x()
        blob = self._send("AI.TENSORGET", self._x, "BLOB")
        values = self._send("AI.TENSORGET", self._x, "VALUES")
        return self._expect(struct.pack(f"<{len(values)}f", *map(float, values)), blob)

    def _execute(self, kind: str, *more) -> str:
        doubled = self._set_x()
        names = ["INPUTS", 1, self._x, "OUTPUTS", 1, self._y]
        self._expect(self._send("AI.MODELEXECUTE", self._key(kind), *names, *more), b"OK")
        return self._expect_y(doubled)

    def execute_model(self) -> str:
        return self._execute("model")

    def execute_batching_model(self) -> str:
        return self._execute("batching", "TIMEOUT", 30_000)

    def execute_script(self) -> str:
        doubled = self._set_x()
        names = ["KEYS", 1, f"{self._x}:calls", "INPUTS", 2, self._x, self._x, "OUTPUTS", 1, self._y]
        function = self._random.choice(["add", "count_and_add"])
        self._expect(self._send("AI.SCRIPTEXECUTE", self._key("script"), function, *names), b"OK")
        return self._expect_y(doubled)

    def execute_dag(self) -> str:
        doubled = self._set_x()
        timeout_ms = self._random.choice([1, 30_000])
        reply = self._send(
            *("AI.DAGEXECUTE", "LOAD", 1, self._x, "PERSIST", 1, self._y, "TIMEOUT", timeout_ms),
            *("|>", "AI.MODELEXECUTE", self._key("model"), "INPUTS", 1, self._x, "OUTPUTS", 1, self._y),
            *("|>", "AI.TENSORGET", self._y, "BLOB"),
        )
        return "TIMEDOUT" if reply == b"TIMEDOUT" else self._expect(reply, [b"OK", doubled])

    def pipeline(self) -> str:
        doubled = self._set_x()
        model = self._key("model")
        with self._server.pipeline(transaction=self._random.random() < 0.5) as pipeline:
            for _ in range(10):
                pipeline.execute_command(
                    *("AI.DAGEXECUTE_RO", "LOAD", 1, self._x),
                    *("|>", "AI.MODELEXECUTE", model, "INPUTS", 1, self._x, "OUTPUTS", 1, "y"),
                    *("|>", "AI.TENSORGET", "y", "BLOB"),
                )
            replies = pipeline.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, redis.ResponseError):
                raise reply
            self._expect(reply, [b"OK", doubled])
        return "OK"

    def call_from_lua(self) -> str:
        doubled = self._set_x()
        reply = self._server.eval(
            LUA, 3, self._key(self._random.choice(["model", "batching"])), self._x, self._y
        )
        self._expect(reply, b"OK")
        return self._expect_y(doubled)

    def disconnect(self) -> str:
        names = ["INPUTS", 1, self._x, "OUTPUTS", 1, f"{self._y}:never read"]
        command = ["AI.MODELEXECUTE", self._key(self._random.choice(["model", "batching"])), *names]
        data = pack([[to_bytes(argument) for argument in command]] * 3)
        with socket.socket(socket.AF_UNIX) as gone:
            gone.connect(self._plan.socket_path)
            gone.sendall(data[: self._random.choice([len(data), len(data) // 2])])
        self._server.connection_pool.disconnect()
        return "OK"

    def store_model(self) -> str:
        kind = self._random.choice(["model", "batching"])
        options = BATCHING if kind == "batching" else []
        command = (
            self._random.choice(["AI.MODELSTORE", "AI.MODELSET"]) if kind == "model" else "AI.MODELSTORE"
        )
        device = self._random.choice(["CPU", "CPU", "CPU:1"])
        tail = b"\0" * self._random.randrange(8)  # another archive to the engine, the same to libtorch
        reply = self._send(
            command, self._key(kind), "TORCH", device, *options, "BLOB", self._plan.double + tail
        )
        return self._expect(reply, b"OK")

    def store_script(self) -> str:
        return self._expect(
            self._send("AI.SCRIPTSTORE", self._key("script"), "CPU", *self._plan.script), b"OK"
        )

    def delete(self) -> str:
        self._server.unlink(self._key(self._random.choice(["model", "batching", "script"])))
        return "OK"


class Reporter:
    """Gathers what the threads of one process do, and tells the parent."""

    def __init__(self, reports: multiprocessing.Queue) -> None:
        self._reports = reports
        self._lock = threading.Lock()
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._unexpected: list[str] = []

    def count(self, outcome: tuple[str, str]) -> None:
        with self._lock:
            self._outcomes[outcome] += 1

    def complain(self, text: str) -> None:
        with self._lock:
            self._unexpected.append(text)

    def send(self) -> None:
        with self._lock:
            report = Report(self._outcomes, self._unexpected)
            self._outcomes, self._unexpected = Counter(), []
        self._reports.put(report)


def run(plan: Plan, reports: multiprocessing.Queue) -> None:
    """Run the plan's clients, each in a thread; reports come regularly, and None at the end."""
    reporter = Reporter(reports)
    deadline = time.monotonic() + plan.seconds
    threads = [
        threading.Thread(target=_run_client, args=(plan, f"{plan.seed}:{number}", deadline, reporter))
        for number in range(plan.clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(REPORT_INTERVAL_S)
            reporter.send()
    reports.put(None)


def _run_client(plan: Plan, name: str, deadline: float, reporter: Reporter) -> None:
    client = Client(plan, name)
    while time.monotonic() < deadline:
        try:
            reporter.count(client.step())
        except (Unexpected, redis.RedisError, OSError) as error:
            reporter.complain(repr(error))
            break
    client.close()
