"""Files that are written: the one place that opens a path for writing.

A file appears under its name once it is complete. Only what is a file, or not there yet, is replaced so.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from modules_store.errors import InvalidInputError, MemoryStoreError


@contextmanager
def writing(path: str | Path) -> Iterator[BinaryIO]:
    """Open `path` for writing. The file takes its name at the end; where something fails, nothing changes.

    A symlink is followed: the file that it names is replaced, not the link. The mode of a file that is there
    stays. What is no regular file, say `/dev/null` or a FIFO, is never replaced: it is written into.

    Raises InvalidInputError where the system refuses.
    """
    target = Path(path)
    try:
        if _takes_writes_alone(target):
            with target.open("wb") as file:
                yield file
            return
        target = Path(os.path.realpath(target))
        unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
        try:
            with unfinished.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                unfinished.chmod(stat.S_IMODE(target.stat().st_mode))
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
    except MemoryStoreError:  # of what is written; one that says that the server is lost is an OSError
        raise
    except OSError as error:
        raise InvalidInputError(f"cannot write {path}: {error.strerror or error}") from error


def write(path: str | Path, content: bytes | str) -> None:
    """Write all of a file, text as UTF-8; otherwise as `writing`."""
    with writing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def make_folder(path: str | Path) -> Path:
    """Make a folder, and those that it lies in, where it is not there; return it.

    Raises InvalidInputError where the system refuses.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"cannot make the folder {path}: {error.strerror or error}") from error
    return folder


def _takes_writes_alone(path: Path) -> bool:
    """Whether `path` is a device, a FIFO, or a descriptor of this process: `/dev/stdout`, `/dev/fd/3`."""
    folder = os.path.realpath(path.parent)
    if folder == "/dev" or f"{folder}/".startswith("/proc/"):
        return True
    return path.exists() and not path.is_file()
