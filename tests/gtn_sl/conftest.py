"""Shared fixtures of the gtn_sl tests: image data sets, small configs, a teacher file and a check of layers."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gtn_sl.config import MetaTrainConfig, resolve_config
from gtn_sl.data import TASKS, TaskData, load_task
from gtn_sl.teacher import seeded_teacher
from gtn_sl.teacher_file import save_teacher

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CIFAR_FOLDER = "cifar-10-batches-bin"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests that use the data fixtures, so that ``-m 'not needs_data'`` deselects them."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "data_dir" in fixtures:
            item.add_marker("needs_data")
        if "cifar_dir" in fixtures:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with ``mnist/`` and ``fashion-mnist/``; skips the test if there is none."""
    folder = Path(os.environ.get("GTN_DATA_DIR") or SHARED_DATA)
    if not (folder / "mnist").is_dir():
        pytest.skip(f"needs data: none in {folder}; set GTN_DATA_DIR to a folder with mnist/ and fashion-mnist/")
    return folder


@pytest.fixture(scope="session")
def cifar_dir(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``cifar-10-batches-bin/``: the data folder, or a temporary one into which CIFAR-10 is unpacked."""
    if (data_dir / CIFAR_FOLDER).is_dir():
        return data_dir
    script = data_dir / "unpack_cifar10.py"
    if not script.is_file():
        pytest.skip(f"needs data: neither {CIFAR_FOLDER}/ nor unpack_cifar10.py in {data_dir}")
    pytest.importorskip("PIL", reason="needs data: unpacking CIFAR-10 needs Pillow")
    folder = tmp_path_factory.mktemp("cifar10")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(script), str(folder)])
        runpy.run_path(str(script), run_name="__main__")
    return folder


SMALL_TEACHER = {
    "teacher": {"hidden": 96, "channels": [8, 4], "latent": 16, "warm_start": 0},
    "inner": {"steps": 5, "batch_size": 12},
    "learner": {"architecture": "base_fc:4,6,8", "random_widths": [[2, 4], [3, 5], [4, 6]]},
    "outer": {"iterations": 1},
}


SMALL_RUN = {
    "teacher": {"hidden": 16, "channels": [4, 2], "latent": 8, "warm_start": 0},
    "inner": {"steps": 4, "batch_size": 20},
    "learner": {"architecture": "base_fc:6,8,10", "random_widths": [[4, 8], [6, 10], [8, 12]]},
    "meta_loss": {"batch_size": 64, "every": 2, "intermediate_batch_size": 16},
    "outer": {"iterations": 4, "lr": 0.01, "validations": 2},
    "validation": {"learners": 2},
    "compute": {"plan": {"keep_last_k": 2}},
}


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """Settings over the preset for a meta-training on the digits that takes a second."""
    return SMALL_RUN


@pytest.fixture
def config(small: dict[str, Any]) -> MetaTrainConfig:
    """``small`` as a resolved config."""
    return resolve_config("digits", "fast", small)


@pytest.fixture(scope="session")
def data() -> TaskData:
    """The digits, which need no download."""
    return load_task("digits")


@pytest.fixture(scope="session")
def teacher_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a small, untrained teacher of the digits: 5 inner steps of 12 images."""
    config = resolve_config("digits", "fast", SMALL_TEACHER)
    path = tmp_path_factory.mktemp("teacher") / "small.safetensors"
    save_teacher(path, seeded_teacher(config, TASKS["digits"], 5), config, {"real/validation_accuracy": 0.1})
    return path


@pytest.fixture
def train_after_inference():
    """Returns a check that a layer first used in inference mode gives the same outputs, and gradients, afterwards."""

    def used(layer, x):
        with torch.inference_mode():
            expected = layer(x).clone()
        y = layer(x)
        torch.testing.assert_close(y, expected)
        y.sum().backward()
        assert layer.v.grad.abs().sum() > 0

    return used
