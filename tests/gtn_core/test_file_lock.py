"""File locks: one holder at a time, and different errors for a busy file and a file system without locks."""

import errno
import fcntl
import os

import pytest

from gtn_core.errors import GTNError
from gtn_core.file_lock import held_file


def test_held_file_rejects_second_holder_until_closed(tmp_path):
    held = held_file(tmp_path / "lock", "busy")
    with pytest.raises(GTNError, match=r"^busy$"):
        held_file(tmp_path / "lock", "busy")
    held.close()
    held_file(tmp_path / "lock", "busy").close()


def test_file_system_without_locks_raises_its_own_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(
        GTNError, match=r"cannot lock .*lock: No locks available; put it on a file system that supports locks"
    ):
        held_file(tmp_path / "lock", "busy")
