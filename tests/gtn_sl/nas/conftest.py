"""Fixtures for architecture search: the digits, a small search space, and a teacher's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS, load_task
from gtn_sl.nas.rankers import Setting
from gtn_sl.nas.spaces import find_space
from gtn_sl.provenance import Provenance
from gtn_sl.teacher import seeded_teacher
from gtn_sl.teacher_file import save_teacher

SPACE = "nb201-small@channels=4"

SMALL_TEACHER = {
    "teacher": {"hidden": 8, "channels": [2, 2], "latent": 4},
    "inner": {"steps": 4, "batch_size": 10},
    "outer": {"iterations": 0},
}


@pytest.fixture(scope="session")
def digits():
    return load_task("digits")


@pytest.fixture(scope="session")
def setting() -> Setting:
    return Setting.of(find_space(SPACE), "digits", images=100)


@pytest.fixture(scope="session")
def teacher_file(tmp_path_factory) -> Path:
    """File of an untrained teacher of the digits with four inner steps."""
    config = resolve_config("digits", "fast", SMALL_TEACHER)
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    made = Provenance("", 0, 0, 0.2, 12.5, "a machine")
    save_teacher(path, seeded_teacher(config, TASKS["digits"], 0), config, {}, made)
    return path
