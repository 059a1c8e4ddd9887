"""How names of teachers resolve to files."""

import shutil

import pytest

import gtn_sl
from gtn_core.errors import CheckpointError, UnknownNameError
from gtn_sl.shipped import SHIPPED, find_teacher, is_shipped


def test_shipped_name_resolves_despite_folder_of_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_teacher("digits") == SHIPPED / "digits.safetensors"
    assert is_shipped(find_teacher("digits"))
    (tmp_path / "digits").mkdir()  # e.g. with exported images
    assert is_shipped(find_teacher("digits"))


def test_run_folder_takes_precedence_over_shipped_teacher(tmp_path, monkeypatch, teacher_path):
    (tmp_path / "digits").mkdir()
    shutil.copy(teacher_path, tmp_path / "digits" / "teacher.safetensors")
    monkeypatch.chdir(tmp_path)
    assert not is_shipped(find_teacher("digits"))
    assert gtn_sl.load_teacher("digits").config.inner.steps == 5


def test_paths_of_files_and_run_folders_are_resolved(tmp_path, teacher_path):
    assert find_teacher(teacher_path) == teacher_path
    assert find_teacher(tmp_path) == tmp_path / "teacher.safetensors"
    with pytest.raises(CheckpointError, match=r"file absent\.safetensors does not exist"):
        gtn_sl.load_teacher("absent.safetensors")


def test_unknown_teacher_error_suggests_nearest_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match=r"unknown teacher 'digit'; did you mean 'digits'\?.*run folder"):
        gtn_sl.load_teacher("digit")
