"""The teacher that a meta-training starts with: an environment or a reward with randomly initialised networks."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from gtn_rl.config import EnvironmentConfig
from gtn_rl.harvest import Harvest
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.models.reward import RewardTeacher
from gtn_rl.models.teacher import LearnedTeacher
from gtn_rl.tasks.protocol import BatchedTask, TaskSpec


def fresh_teacher(
    settings: EnvironmentConfig,
    task: BatchedTask,
    gathered: Harvest,
    scales: tuple[Tensor, Tensor],
    random: np.random.Generator,
    seed: int,
) -> LearnedTeacher:
    """Returns the teacher as it is before the first stage.

    Args:
        settings: Settings of the environment.
        task: The real task.
        gathered: A harvest of the task.
        scales: Mean and standard deviation of its observations, each ``(d,)``.
        random: Draws the centres.
        seed: Seed of the networks' initial weights.
    """
    first_steps = settings.harvest_steps if settings.reward_mode == "fitted" else None
    centres = gathered.centres(settings.centres, random, first_steps)
    if settings.kind == "reward":
        return _reward(settings, task, scales, centres, gathered.return_size(), seed)
    return _environment(settings, task.spec, scales, centres, seed)


def _reward(
    settings: EnvironmentConfig,
    task: BatchedTask,
    scales: tuple[Tensor, Tensor],
    states: Tensor,
    return_size: float,
    seed: int,
) -> RewardTeacher:
    potential = settings.reward_mode == "potential"
    return RewardTeacher(
        task,
        *scales,
        states,
        seed=seed,
        hidden=settings.hidden,
        activation=settings.activation,
        regret=settings.regret,
        gamma=settings.gamma if potential else None,
        # smaller than what it is added to, yet noticeable
        scale=return_size / 10 if potential else settings.reward_scale,
    )


def _environment(
    settings: EnvironmentConfig, spec: TaskSpec, scales: tuple[Tensor, Tensor], centres: Tensor, seed: int
) -> EnvironmentTeacher:
    mdp = settings.kind == "mdp"
    teacher = EnvironmentTeacher(
        spec,
        *scales,
        centres,
        seed=seed,
        hidden=settings.hidden,
        transition_hidden=settings.transition_hidden if mdp else None,
        termination_hidden=settings.hidden if settings.termination else None,
        max_episode_steps=settings.episode_steps if mdp else 1,
        jitter=settings.jitter,
        activation=settings.activation,
        regret=settings.regret,
        limit_terminates=settings.limit_terminates,
        reward_reads_action=settings.reward_mode == "fitted",
        scale=settings.reward_scale,
    )
    if settings.spread == "even":
        teacher.spread_evenly()
    return teacher
