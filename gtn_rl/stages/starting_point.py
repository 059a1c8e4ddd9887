"""An environment's file as the start of another meta-training, as when an MDP continues from a bandit."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gtn_core.errors import UsageError
from gtn_envs import Weights, WeightsError, load_environment
from gtn_rl.config import EnvironmentConfig
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.models.teacher import LearnedTeacher
from gtn_rl.tasks.protocol import TaskSpec


def load_start(path: str, spec: TaskSpec) -> Weights:
    """Loads the environment that a meta-training starts from.

    Raises:
        UsageError: The file is not a valid environment, is of another task or form, or has a fitted reward.
    """
    try:
        weights = load_environment(path)
    except WeightsError as error:
        raise UsageError(f"environment.start: {error}") from error
    if weights.form == "reward" or weights.task != spec.id:
        raise UsageError(
            f"environment.start: {path} has the form {weights.form} for {weights.task}, expected a bandit or an mdp"
            f" for {spec.id}"
        )
    if weights.reward_reads_action:
        raise UsageError(
            f"environment.start: {path} is a model of {weights.task} with a fitted reward, which no stage goes on from"
        )
    return weights


def shaped_like(settings: EnvironmentConfig, weights: Weights) -> EnvironmentConfig:
    """Returns the settings with the reward network's widths, the activation and the number of centres of a file."""
    hidden = tuple(len(bias) for _, bias in weights.layers("reward")[:-1])
    centres = len(weights.tensors["initial.means"])
    activation: Literal["tanh", "relu"] = "tanh" if weights.activation == "tanh" else "relu"
    return replace(settings, hidden=hidden, activation=activation, centres=centres)


def normalisation(weights: Weights) -> tuple[Tensor, Tensor]:
    """Returns the mean and standard deviation of the observations, each ``(d,)``."""
    return _tensor(weights, "observation.mean"), _tensor(weights, "observation.std")


@torch.no_grad()
def take_over(teacher: LearnedTeacher, weights: Weights, size: float = 1.0) -> None:
    """Copies a file's initial states and reward, including its scale, into a teacher of the same shapes.

    Args:
        teacher: The teacher, changed in place.
        weights: The file's content.
        size: Size of the reward, as a multiple of the file's.
    """
    if isinstance(teacher, EnvironmentTeacher):
        for parameter, name in zip(teacher.initial, ("initial.means", "initial.log_std"), strict=True):
            parameter.copy_(_tensor(weights, name))
    for i in range(len(teacher.reward) // 2):
        teacher.reward[2 * i].copy_(_tensor(weights, f"reward.{i}.weight"))
        teacher.reward[2 * i + 1].copy_(_tensor(weights, f"reward.{i}.bias"))
    teacher.log_scale.zero_()  # a teacher's scale is relative to its reward's spread, a file's is not
    relative = size * _tensor(weights, "reward.scale") / teacher.model().scale.squeeze()
    teacher.log_scale.copy_(relative.clamp(min=1e-6).log())


def _tensor(weights: Weights, name: str) -> Tensor:
    return torch.from_numpy(np.array(weights.tensors[name]))
