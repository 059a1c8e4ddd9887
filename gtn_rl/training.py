"""One meta-training of an environment, from config to file: its stages in order, each kept only if it helps."""

from __future__ import annotations

import dataclasses
import json
import logging
from typing import Any

import gymnasium as gym
import torch

from gtn_core.device import resolve_device
from gtn_core.distributed import SingleProcess, World, everywhere, first
from gtn_core.distributed.files import held_by_first
from gtn_core.estimators import ESTIMATORS, EstimatorConfig
from gtn_core.memory.allocation import reuse_pages
from gtn_core.outer_loop import Listener
from gtn_core.progress import Progress
from gtn_core.run_folder import RunFolder
from gtn_core.threads import threads_put_back
from gtn_core.whole_file import replacing
from gtn_rl.config import RLConfig
from gtn_rl.gradient import FORMS
from gtn_rl.judge import judges, learners
from gtn_rl.sb3.algorithms import NUMBERED_FROM_ZERO
from gtn_rl.stages.pipeline import Pipeline
from gtn_rl.stages.result import StageResult
from gtn_rl.stages.rules import refuse_nonsense
from gtn_rl.stages.run import run_stage
from gtn_rl.stages.start import start_pipeline
from gtn_rl.stages.starting_point import load_start
from gtn_rl.tasks import BatchedTask, TaskSpec, make_task
from gtn_rl.tasks.rollout import step_limit

log = logging.getLogger(__name__)

MAY_CHANGE = ("minutes", "iterations", "stages.*.iterations", "threads", "workers", "device")
"""Settings that may be changed when a run is resumed."""


@threads_put_back()
def meta_train(
    config: RLConfig,
    run: RunFolder,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    command: str = "",
    world: World | None = None,
) -> tuple[Progress, list[StageResult]]:
    """Meta-trains an environment, or resumes a run.

    From then on, this process flushes subnormal numbers to zero on the CPU, and keeps freed memory for reuse.

    Args:
        config: All settings; for a resumed run those in its folder, except for changes to ``MAY_CHANGE``.
        run: The run folder, written by the first process.
        resume: Whether to resume the run in the folder.
        listener: Called after every outer step.
        command: The user's command line, for the file's header; a resumed run keeps the one that it began with.
        world: The processes that train together; a resumed run may have different ones.

    Returns:
        Progress over all stages, and the result of each. The environment is in ``run.teacher``.

    Raises:
        GTNError: The user can fix it: task, settings, disk, divergence, or a process that is gone.
    """
    reuse_pages()
    world = world or SingleProcess()
    if resume:
        first(world, lambda: run.refuse_other_settings(config, MAY_CHANGE))
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    config = dataclasses.replace(
        config, device=everywhere(world, lambda: resolve_device(config.device, world.local_size))
    )
    workers = world.workers() if config.workers is None else config.workers
    task = everywhere(world, lambda: make_task(config.task, device=config.device, workers=workers))
    try:
        everywhere(world, lambda: _refuse_nonsense(config, task))  # before the folder is created
        with held_by_first(world, run, new=not resume):
            if not resume:
                first(world, lambda: _warn_of_numbers(task.spec))
            first(world, lambda: run.write_config(config))
            told = first(world, lambda: run.remember_command(command))
            pipeline = start_pipeline(config, run, task, listener, told, world)
            for index in range(len(config.stages)):
                run_stage(pipeline, index)
            first(world, lambda: _finish(pipeline))
    finally:
        task.close()
    seconds = sum(result.seconds for result in pipeline.results)
    return Progress(iteration=pipeline.outer_steps, seconds=seconds, best=pipeline.score), pipeline.results


def _refuse_nonsense(config: RLConfig, task: BatchedTask) -> None:
    """Raises UsageError for what would fail later: a wrong name, a stage that lacks what it needs, an endless task."""
    step_limit(task.spec, None)
    learners(config, task.spec)
    judges(config, task.spec)
    if config.environment.start is not None:
        load_start(config.environment.start, task.spec)
    for stage in config.stages:
        if stage.nature.differentiates:
            FORMS[stage.name].refuse(task.spec, stage.gradient)
        elif stage.nature.evolves:
            ESTIMATORS[stage.estimator](EstimatorConfig(population=stage.population))
    refuse_nonsense(config.environment, config.stages, discrete=task.spec.discrete)


def _warn_of_numbers(spec: TaskSpec) -> None:
    """Warns, before the budget is spent, that agents of Stable-Baselines3 cannot train in the result."""
    if isinstance(spec.action_space, gym.spaces.Discrete) and (start := int(spec.action_space.start)):
        log.warning(
            "%s numbers its actions from %d, but Stable-Baselines3 from 0, so its agents cannot train in the result: %s",
            spec.id,
            start,
            NUMBERED_FROM_ZERO,
        )


def _finish(pipeline: Pipeline) -> None:
    """Writes the final file (the best teacher and all its stages), and a summary next to it."""
    pipeline.write(pipeline.score, pipeline.judged.metrics, pipeline.cost)
    summary: dict[str, Any] = {"stages": [vars(result) for result in pipeline.results]}
    with replacing(pipeline.run.path / "stages.json") as file:
        file.write(json.dumps(summary, indent=1).encode())
