"""The file that a meta-training leaves: the environment, and a header that says how it was made."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gtn_core.config import to_dict
from gtn_envs.weights_file import save_environment
from gtn_rl.config import RLConfig
from gtn_rl.learned_teacher import LearnedTeacher
from gtn_rl.stage_result import StageResult
from gtn_rl.starting_point import load_start
from gtn_rl.tasks.protocol import TaskSpec


def write_environment(
    path: Path,
    teacher: LearnedTeacher,
    config: RLConfig,
    results: Sequence[StageResult],
    metrics: Mapping[str, float],
    command: str,
) -> None:
    """Writes an environment.

    Args:
        path: Where to.
        teacher: The environment.
        config: All settings that made it.
        results: The stages so far.
        metrics: Its figures, and what it cost.
        command: What the user typed.
    """
    spec = teacher.spec
    document = teacher.document(
        stages=[vars(result) for result in results],
        command=command,
        seed=config.seed,
        version=importlib.metadata.version("generative-teaching-networks"),
        metrics=dict(metrics),
        config=to_dict(config),
        observation_space=spec.observation_space,
        action_space=spec.action_space,
        **_origin(config.environment.start, spec),
    )
    save_environment(path, {name: tensor.numpy() for name, tensor in teacher.tensors().items()}, document)


def _origin(start: str | None, spec: TaskSpec) -> dict[str, Any]:
    """Returns what the header says of the file that it started from: what made it is part of what made this."""
    if start is None:
        return {}
    document = load_start(start, spec).document
    told = ("command", "seed", "stages", "metrics", "start")
    return {"start": {"file": start, **{key: document[key] for key in told if key in document}}}
