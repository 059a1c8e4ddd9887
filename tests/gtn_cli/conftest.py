"""Fixtures that call the command line, in this process or another, and a small trained run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gtn_cli.main import main

SMALL = [
    *("--task", "digits", "--threads", "1", "--device", "cpu"),
    *("--set", "teacher.hidden=16", "--set", "teacher.channels=[4,2]", "--set", "teacher.latent=8"),
    *("--set", "teacher.warm_start=2", "--set", "inner.steps=4", "--set", "inner.batch_size=20"),
    *("--set", "learner.architecture=base_fc:6,8,10", "--set", "learner.random_widths=[[4,8],[6,10],[8,12]]"),
    *("--set", "meta_loss.batch_size=64", "--set", "validation.learners=2", "--set", "outer.save_every=0"),
    *("--set", "compute.plan.keep_last_k=2"),
]


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Settings of a meta-training that takes about a second."""
    return SMALL


class Outcome(NamedTuple):
    """The result of a call: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """Standard output, parsed as one JSON document."""
        return json.loads(self.out)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Calls the command line in this process."""

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(caught.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts the command line in a separate process."""

    def run(*arguments: object, cwd: Path | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "gtn_cli.main", *map(str, arguments)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=cwd
        )

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder of a finished meta-training."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    with pytest.raises(SystemExit) as caught:
        main(["meta-train", *SMALL, "--iterations", "4", "--out", str(folder), "--quiet"])
    assert caught.value.code == 0
    return folder
