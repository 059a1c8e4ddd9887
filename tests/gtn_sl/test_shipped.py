"""Which file a teacher's name means, and what ``import gtn_sl`` offers."""

import shutil
import subprocess
import sys

import pytest

import gtn_sl
from gtn_core.errors import CheckpointError, UnknownNameError
from gtn_sl.shipped import SHIPPED, find_teacher, is_shipped


def test_a_name_means_the_shipped_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_teacher("digits") == SHIPPED / "digits.safetensors"
    assert is_shipped(find_teacher("digits"))
    (tmp_path / "digits").mkdir()  # e.g. of image files
    assert is_shipped(find_teacher("digits"))


def test_a_run_of_that_name_goes_first(tmp_path, monkeypatch, teacher_path):
    (tmp_path / "digits").mkdir()
    shutil.copy(teacher_path, tmp_path / "digits" / "teacher.safetensors")
    monkeypatch.chdir(tmp_path)
    assert not is_shipped(find_teacher("digits"))
    assert gtn_sl.load_teacher("digits").config.inner.steps == 5


def test_paths_are_taken_as_they_are(tmp_path, teacher_path):
    assert find_teacher(teacher_path) == teacher_path
    assert find_teacher(tmp_path) == tmp_path / "teacher.safetensors"
    with pytest.raises(CheckpointError, match=r"file absent\.safetensors does not exist"):
        gtn_sl.load_teacher("absent.safetensors")


def test_an_unknown_name_gets_a_suggestion(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match=r"unknown teacher 'digit'; did you mean 'digits'\?.*run folder"):
        gtn_sl.load_teacher("digit")


def test_the_package_offers_its_public_names():
    assert set(gtn_sl.__all__) == set(gtn_sl._HOMES) <= set(dir(gtn_sl))
    for name in gtn_sl.__all__:
        assert getattr(gtn_sl, name).__name__ == name
    with pytest.raises(AttributeError, match="load_teachers"):
        _ = gtn_sl.load_teachers


def test_importing_the_package_does_not_import_torch():
    program = "import sys, gtn_sl, gtn_sl.shipped; sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
