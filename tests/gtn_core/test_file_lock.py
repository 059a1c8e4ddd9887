"""A file that one process holds: others are told who is busy, and a file system without locks is told apart from that."""

import errno
import fcntl
import os

import pytest

from gtn_core.errors import GTNError
from gtn_core.file_lock import held_file


def test_one_at_a_time(tmp_path):
    held = held_file(tmp_path / "lock", "busy")
    with pytest.raises(GTNError, match=r"^busy$"):
        held_file(tmp_path / "lock", "busy")
    held.close()
    held_file(tmp_path / "lock", "busy").close()


def test_a_file_system_without_locks_is_an_error_of_its_own(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(
        GTNError, match=r"cannot lock .*lock: No locks available; put it on a file system that supports locks"
    ):
        held_file(tmp_path / "lock", "busy")
