"""`make fuzz`: random and mutated commands and payloads against a server that must survive them.

One thread drives several connections, so that a seed gives the same commands in the same order; how far it
comes depends on the time. How the requests meet in the server is as chance has it.

A finding is a server that ends, does not answer, or answers with what is no reply; an error of more than one
line or that says nothing; a dataset that is another after a reload; memory that is not given back.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from modules_store.server import EmbeddedServer
from tests import helpers
from tests.endurance import material, memory
from tests.endurance.grammar import Grammar
from tests.endurance.wire import Failure, ProtocolError, Reply, Wire, errors_in, pack
from tests.engine import payloads

CONNECTIONS = 4
REPLY_TIMEOUT_S = 60.0
WARM_UP_SHARE = 0.25
RECENT_STEPS = 40
LOG_LINES = 60
# Of what is left when all is emptied; what libtorch and the C library keep for later is in the second.
USED_GROWTH_BYTES = 1 << 20
RSS_GROWTH_BYTES = 96 << 20
CONFIG = {
    "enable-debug-command": "yes",
    "maxmemory": "1gb",
    "save": "",
    "auto-aof-rewrite-percentage": 0,  # commands ask for rewrites
    "aof-use-rdb-preamble": "no",  # so that a rewritten AOF is what our types' callbacks emit
}
# In texts of exceptions that say nothing to the reader of an error, or too much: a stack trace.
SAY_NOTHING = ("unknown exception", "bad_alloc", "bad_variant", "basic_string::", "vector::_M", "frame #0")

LUA = """
local replies, at = {}, 1
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  table.insert(replies, redis.pcall(unpack(ARGV, at + 1, at + count)))
  at = at + 1 + count
end
return replies
"""

console = Console(highlight=False)


class Finding(Exception):
    """What the fuzzer looks for."""


class Fuzzer:
    """Sends what the seed gives to the server, in many ways, and looks at every reply."""

    def __init__(self, server: EmbeddedServer, seed: int) -> None:
        self._server = server
        self._random = Random(seed)
        self._wires: list[Wire] = []
        self._pings: Wire | None = None
        self._open()
        assert self._pings
        self._pings.call(*payloads.SKIP_CHECKSUMS)
        self._run_id = self._fact("run_id")
        self._grammar = Grammar(self._random, material.gather(self._pings))
        self.recent: deque[tuple[str, list[list[bytes]]]] = deque(maxlen=RECENT_STEPS)
        self.sent: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.slowest_ping_s = 0.0
        self._ways: list[tuple[int, Callable[[], None]]] = [
            (400, self._plain),
            (150, self._pipeline),
            (100, self._transaction),
            (100, self._lua),
            (150, self._crowd),
            (50, self._cut),
            (40, self._restock),
            (3, self._reload),
        ]

    def run(self, seconds: float, progress: Callable[[], None]) -> None:
        """Send commands for so long; raises Finding or ProtocolError."""
        deadline = time.monotonic() + seconds
        weights = [weight for weight, _ in self._ways]
        self._restock()
        while time.monotonic() < deadline:
            self._random.choices(self._ways, weights)[0][1]()
            self._ping()
            progress()

    def rest(self) -> memory.Memory:
        """Close the connections, return the memory of the emptied server, and open them again."""
        for wire in [*self._wires, self._pings]:
            wire.close()
        measured = memory.at_rest(self._server)
        self._open()
        if self._fact("run_id") != self._run_id:
            raise Finding("the server is another than at the start")
        return measured

    def _open(self) -> None:
        path = self._server.unix_socket
        assert path
        self._wires = [Wire(path, REPLY_TIMEOUT_S) for _ in range(CONNECTIONS)]
        self._wires[-1].call("SELECT", 1)
        self._pings = Wire(path, REPLY_TIMEOUT_S)

    def _saves(self) -> bool:
        return any(self._fact(name) != "0" for name in ("aof_rewrite_in_progress", "rdb_bgsave_in_progress"))

    def _fact(self, name: str) -> str:
        facts = self._pings.call("INFO").decode()
        return next(line.partition(":")[2] for line in facts.splitlines() if line.startswith(f"{name}:"))

    def _ping(self) -> None:
        start = time.monotonic()
        reply = self._pings.call("PING")
        # While the server loads, since a client asked for DEBUG RELOAD, it answers that.
        is_loading = isinstance(reply, Failure) and reply.startswith("LOADING")
        if reply != b"PONG" and not is_loading:
            raise Finding(f"the reply to PING is {reply!r}")
        self.slowest_ping_s = max(self.slowest_ping_s, time.monotonic() - start)

    def _commands(self, most: int) -> list[list[bytes]]:
        return [self._grammar.command() for _ in range(self._random.randrange(1, most + 1))]

    def _note(self, way: str, commands: list[list[bytes]]) -> None:
        self.recent.append((way, commands))
        for command in commands:
            self.sent[command[0].decode(errors="replace").upper()] += 1

    def _check(self, reply: Reply, commands: list[list[bytes]]) -> None:
        for error in errors_in(reply):
            self.failed[error.partition(" ")[0]] += 1
            said = [text for text in SAY_NOTHING if text in error]
            if said or "\n" in error or "\r" in error:
                raise Finding(f"this error is not for a user: {str(error)!r}, of one of {commands!r}"[:3000])

    def _exchange(self, wire: Wire, commands: list[list[bytes]]) -> None:
        wire.send(pack(commands))
        for command in commands:
            self._check(wire.read(), [command])

    def _plain(self) -> None:
        commands = self._commands(1)
        self._note("plain", commands)
        self._exchange(self._random.choice(self._wires), commands)

    def _pipeline(self) -> None:
        commands = self._commands(8)
        self._note("pipeline", commands)
        self._exchange(self._random.choice(self._wires), commands)

    def _transaction(self) -> None:
        commands = [[b"MULTI"], *self._commands(5), [self._random.choice([b"EXEC", b"EXEC", b"DISCARD"])]]
        if self._random.random() < 0.3:
            commands.insert(0, [b"WATCH", *(key.encode() for key in material.TENSOR_KEYS)])
        self._note("transaction", commands)
        self._exchange(self._random.choice(self._wires), commands)

    def _lua(self) -> None:
        inner = self._commands(4)
        arguments = [argument for command in inner for argument in (b"%d" % len(command), *command)]
        name = self._random.choice([b"EVAL"] * 9 + [b"EVAL_RO"])
        self._note("lua", inner)
        self._exchange(self._random.choice(self._wires), [[name, LUA.encode(), b"0", *arguments]])

    def _crowd(self) -> None:
        """Several clients at once, so that requests wait beside one another, and are joined."""
        commands = [self._grammar.command()]
        for _ in self._wires[1:]:
            same = self._random.random() < 0.5
            commands.append(commands[0] if same else self._grammar.command())
        self._note("crowd", commands)
        for wire, command in zip(self._wires, commands, strict=True):
            wire.send(pack([command]))
        self._ping()
        for wire, command in zip(self._wires, commands, strict=True):
            self._check(wire.read(), [command])

    def _cut(self) -> None:
        """Clients that are gone before they have said it all, or before the reply."""
        commands = self._commands(3)
        data = pack(commands)
        if self._random.random() < 0.5:
            data = data[: self._random.randrange(len(data))]
        self._note("cut", commands)
        wire = Wire(self._server.unix_socket, REPLY_TIMEOUT_S)
        wire.send(data)
        wire.close()

    def _restock(self) -> None:
        commands = self._grammar.restocking()
        self._note("restock", commands)
        self._exchange(self._wires[0], commands)

    def _reload(self) -> None:
        """What is saved, or logged, is what there is. Keys that expire meanwhile are worth another try."""
        command = self._random.choice([[b"DEBUG", b"RELOAD"], [b"DEBUG", b"LOADAOF"]])
        self._note("reload", [command])
        # Two of the server's own weaknesses: a rewrite that ends while the log is read ends the server; and
        # where its count of changes was reset while a child saved, it is negative, and the log gets this
        # command too.
        helpers.wait_until(lambda: not self._saves(), REPLY_TIMEOUT_S)
        self._exchange(self._pings, [[b"SAVE"]])
        digests: list[tuple[Reply, Reply]] = []
        for _ in range(3):
            before = self._pings.call("DEBUG", "DIGEST")
            self._exchange(self._pings, [command])
            digests.append((before, self._pings.call("DEBUG", "DIGEST")))
            if digests[-1][0] == digests[-1][1]:
                return
        raise Finding(f"after {command!r} the dataset is another: {digests!r}")


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long (60)")
    parser.add_argument("--seed", type=int, help="which commands (chosen by chance)")
    parser.add_argument("--any-rss", action="store_true", help="for sanitizers, which keep freed memory")
    return parser.parse_args()


def start_server() -> EmbeddedServer:
    """Return a server as the fuzzer wants it."""
    engine = helpers.engine()
    options = {"port": 0, "modules": ["engine"], "appendonly": True, "config": CONFIG}
    return EmbeddedServer(helpers.redis_server(), engine=engine, **options)


def fuzz(server: EmbeddedServer, seed: int, seconds: float, *, any_rss: bool = False) -> bool:
    """Fuzz the server; print what was found, or what was done, and return whether nothing was found."""
    console.print(f"seed {seed}, {seconds:g} s, server process {server.pid}")
    fuzzer = Fuzzer(server, seed)
    try:
        columns = BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}")
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=seconds)
            start = time.monotonic()

            def show() -> None:
                sent, errors = sum(fuzzer.sent.values()), sum(fuzzer.failed.values())
                text = f"{sent} commands, {errors} errors"
                bar.update(task, completed=time.monotonic() - start, description=text)

            fuzzer.run(seconds * WARM_UP_SHARE, show)
            before = fuzzer.rest()
            fuzzer.run(seconds * (1 - WARM_UP_SHARE), show)
            after = fuzzer.rest()
        _show_table(fuzzer, before, after)
        _refuse_growth(before, after, any_rss=any_rss)
    except (Finding, ProtocolError, AssertionError) as finding:
        _report(server, fuzzer, seed, finding)
        return False
    return True


def _refuse_growth(before: memory.Memory, after: memory.Memory, *, any_rss: bool) -> None:
    if after.used - before.used > USED_GROWTH_BYTES:
        raise Finding(f"used_memory grew by {after.used - before.used} bytes")
    if after.rss - before.rss > RSS_GROWTH_BYTES and not any_rss:
        raise Finding(f"the resident set grew by {after.rss - before.rss} bytes")


def _show_table(fuzzer: Fuzzer, before: memory.Memory, after: memory.Memory) -> None:
    table = Table("command", "sent")
    for name, count in sorted(fuzzer.sent.items()):
        if name.startswith("AI."):
            table.add_row(name, str(count))
    table.add_row("others", str(sum(n for name, n in fuzzer.sent.items() if not name.startswith("AI."))))
    console.print(table)
    errors = ", ".join(f"{code} {count}" for code, count in fuzzer.failed.most_common(8))
    console.print(f"errors: {errors}; slowest PING {fuzzer.slowest_ping_s * 1000:.0f} ms")
    for name in ("used", "rss"):
        first, last = getattr(before, name), getattr(after, name)
        console.print(f"{name}: {first / 2**20:.2f} MiB after the warm-up, {last / 2**20:.2f} MiB at the end")


def _report(server: EmbeddedServer, fuzzer: Fuzzer, seed: int, finding: Exception) -> None:
    path = Path("build") / f"fuzz-{seed}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{step!r}\n" for step in fuzzer.recent))
    print(f"\nThe last commands (all of each in {path}):")
    for way, commands in fuzzer.recent:
        print(f"{way}: {[[argument[:80] for argument in command] for command in commands]!r}"[:2000])
    print(f"\nThe end of the server's log:\n{_log(server)}")
    print(f"\nFOUND with seed {seed} after {sum(fuzzer.sent.values())} commands: {finding}", file=sys.stderr)


def _log(server: EmbeddedServer) -> str:
    """Return the end of the log; of a server that crashed, the beginning of its report, with the stack."""
    log = server.log_tail(10_000).splitlines()
    crashed = [number for number, line in enumerate(log) if "REDIS BUG REPORT START" in line]
    end = crashed[0] + LOG_LINES if crashed else len(log)
    return "\n".join(line[:300] for line in log[:end][-2 * LOG_LINES :])


def main() -> None:
    """Run the fuzzer on a server of its own; exit with 1 where it finds something."""
    options = parse_arguments()
    seed = options.seed if options.seed is not None else secrets.randbelow(2**32)
    with start_server() as server:
        if not fuzz(server, seed, options.seconds, any_rss=options.any_rss):
            sys.exit(1)


if __name__ == "__main__":
    main()
