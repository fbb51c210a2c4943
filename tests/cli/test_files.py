"""Where files are written: through symlinks, into what is no file, whole or not at all."""

from __future__ import annotations

import os
import stat
import threading

import numpy as np
import pytest
from pyarrow import parquet

from modules_store import files
from modules_store.errors import ConnectionLostError, InvalidInputError
from tests.store import toy_codec


@pytest.fixture
def fifo(tmp_path):
    """A FIFO, and a list that has what was read from it once its thread has ended."""
    path, found = tmp_path / "fifo", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    reader.start()
    return path, found, reader


def test_a_fifo_is_written_into(fifo):
    path, found, reader = fifo
    files.write(path, "text")
    reader.join(10)
    assert found == [b"text"]
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("form", ["absolute", "relative", "of a link"])
def test_a_symlink_is_followed(tmp_path, form):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "file", tmp_path / "link"
    target.write_text("before")
    link.symlink_to("real/file" if form == "relative" else target)
    if form == "of a link":
        link = tmp_path / "second"
        link.symlink_to("link")
    files.write(link, "after")
    assert link.is_symlink()
    assert target.read_text() == "after"
    assert list(target.parent.iterdir()) == [target]


def test_a_symlink_to_nothing_yet(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    files.write(tmp_path / "link", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"
    assert (tmp_path / "link").is_symlink()


def test_a_descriptor_is_written_into(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.write(b"one ")
        file.flush()
        files.write(f"/dev/fd/{os.dup(file.fileno())}", "x")
    assert stat.S_ISREG((tmp_path / "file").stat().st_mode)


def test_the_mode_stays(tmp_path):
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o640)
    files.write(path, "x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def lose(file):
        file.write(b"half")
        raise ConnectionLostError("lost")

    with pytest.raises(ConnectionLostError, match="lost"), files.writing(path) as file:
        lose(file)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["", "missing/file", "file/x"])
def test_paths_that_cannot_be_written(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match=f"cannot write {tmp_path / name}: "):
        files.write(tmp_path / name, "x")
    with pytest.raises(InvalidInputError, match="cannot make the folder"):
        files.make_folder(tmp_path / "file" / "x")


def test_an_export_into_a_fifo(run, filled, fifo, tmp_path):
    path, found, reader = fifo
    assert run("export", "rover", "--to", path) == f"wrote 3 memories of 1 agents to {path}\n"
    reader.join(10)
    (tmp_path / "copy").write_bytes(found[0])
    states = parquet.read_table(tmp_path / "copy")["state"].to_pylist()
    assert np.array_equal(states, toy_codec.states(3, seed=1))


def test_an_export_into_nothing_and_through_a_symlink(run, filled, tmp_path):
    assert "wrote 13 memories" in run("export", "--all", "--to", "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    run("export", "rover", "--to", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert parquet.read_table(tmp_path / "file").num_rows == 3
