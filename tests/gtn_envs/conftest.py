"""Fixtures: files of random environments and data streams, registered once per session; rendering without a window."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gtn_envs import register_from_file, save_environment, save_stream

sys.path.insert(0, str(Path(__file__).parent))  # --import-mode=importlib does not add this folder
from random_environments import REWARDS, STREAMS, VARIANTS, environment, stream


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Writes and registers every variant; returns the files by id."""
    folder = tmp_path_factory.mktemp("environments")
    paths = {}
    for id, variant in {**VARIANTS, **REWARDS, **STREAMS}.items():
        paths[id] = folder / f"{id}.safetensors"
        if id in STREAMS:
            save_stream(paths[id], stream(**variant))
        else:
            save_environment(paths[id], *environment(**variant))
        register_from_file(paths[id], id)
    return paths


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes one random environment and returns its path."""

    def write_one(**variant: Any) -> Path:
        path = tmp_path / "environment.safetensors"
        save_environment(path, *environment(**variant))
        return path

    return write_one


@pytest.fixture
def _no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps pygame from opening a window."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
