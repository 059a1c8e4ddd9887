"""Writes the file that a meta-training produces: the environment, and a header that records how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gtn_core.config import to_dict
from gtn_core.errors import GTNError
from gtn_core.version import installed_version
from gtn_envs import Weights, WeightsError
from gtn_envs.weights_file import save_environment
from gtn_rl.config import RLConfig
from gtn_rl.models.teacher import LearnedTeacher
from gtn_rl.stages.result import StageResult

TOLD_OF_START = ("command", "seed", "stages", "metrics", "start")
"""Entries that the header copies from the file that a meta-training started from."""


def write_environment(
    path: Path,
    teacher: LearnedTeacher,
    config: RLConfig,
    results: Sequence[StageResult],
    metrics: Mapping[str, float],
    command: str,
    *,
    start: Weights | None = None,
) -> None:
    """Writes an environment to a file.

    Args:
        path: Path of the file.
        teacher: The environment.
        config: All settings of the run.
        results: Results of the stages so far.
        metrics: Its validation metrics and its cost.
        command: The user's command line.
        start: The environment that ``config.environment.start`` names; how it was made becomes part of the new header.

    Raises:
        GTNError: The file cannot be written, or the environment holds a value that is not finite.
    """
    spec = teacher.spec
    began = config.environment.start
    if began is not None:  # its name only: this machine's folders mean nothing elsewhere
        config = replace(config, environment=replace(config.environment, start=Path(began).name))
    document = teacher.document(
        stages=[vars(result) for result in results],
        command=command,
        seed=config.seed,
        version=installed_version(),
        metrics=dict(metrics),
        config=to_dict(config),
        observation_space=spec.observation_space,
        action_space=spec.action_space,
    )
    if start is not None:
        told = {key: start.document[key] for key in TOLD_OF_START if key in start.document}
        document["start"] = {"file": config.environment.start, **told}
    try:
        save_environment(path, {name: tensor.cpu().numpy() for name, tensor in teacher.tensors().items()}, document)
    except WeightsError as error:
        raise GTNError(str(error)) from error
