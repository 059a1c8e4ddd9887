"""The stage ``fit``: transitions, and optionally rewards and terminations, regressed on steps of the real task."""

from __future__ import annotations

import contextlib

from gtn_core.distributed import SingleProcess, first
from gtn_core.run_folder import RunFolder
from gtn_rl.config import StageConfig
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.stages.pipeline import Pipeline
from gtn_rl.stages.result import StageResult
from gtn_rl.stages.rewards import fit_rewards
from gtn_rl.stages.terminations import fit_terminations
from gtn_rl.stages.transitions import fit_transitions


def run_fit(pipeline: Pipeline, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
    """Fits the dynamics, on the first process only, which has the harvests."""
    result = first(pipeline.world, lambda: vars(_fitted(pipeline, index, stage, folder)))
    pipeline.world.broadcast_(pipeline.teacher.state_dict().values())
    return StageResult(**result)


def _fitted(pipeline: Pipeline, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
    teacher, harvests, streams = pipeline.teacher, pipeline.harvests, pipeline.streams
    assert isinstance(teacher, EnvironmentTeacher)
    with contextlib.closing(pipeline.tracker(folder, stage, None, SingleProcess())) as tracker:
        explained = fit_transitions(teacher, harvests, streams.torch("fit", index))
        metrics = {} if explained is None else {"fit/explained_variance": explained}
        if teacher.reward_reads_action:
            paid = fit_rewards(teacher, harvests, streams.torch("fit-reward", index))
            metrics |= {} if paid is None else {"fit/reward_explained_variance": paid}
        if teacher.termination is not None:
            accuracy = fit_terminations(teacher, harvests, streams.torch("fit-termination", index))
            metrics |= {} if accuracy is None else {"fit/termination_balanced_accuracy": accuracy}
        tracker.scalars(0, metrics)
    return pipeline.result("fit", tracker, kept=True, score=explained, metrics=metrics)
