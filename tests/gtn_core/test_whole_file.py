"""Files written whole or not at all, and the check that one can be written."""

import os

import pytest

from gtn_core.errors import UsageError
from gtn_core.whole_file import replacing, require_writable


def test_failed_write_keeps_old_file_and_leaves_no_other(tmp_path):
    saved = tmp_path / "a.bin"
    saved.write_bytes(before := b"whole")
    writer = replacing(saved)
    writer.__enter__().write(b"half")
    error = RuntimeError("half way")
    assert not writer.__exit__(RuntimeError, error, None)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_require_writable_rejects_unwritable_paths(tmp_path):
    for path in (tmp_path, tmp_path / "a" / "b.zip"):
        (tmp_path / "a").touch()
        with pytest.raises(UsageError, match="cannot write"):
            require_writable(path)
