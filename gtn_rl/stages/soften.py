"""The stage ``soften``: finds the gain at which a reward's greedy policy does best; kept only if agents do no worse."""

from __future__ import annotations

import contextlib
from functools import partial

from gtn_core.distributed import first
from gtn_core.run_folder import RunFolder
from gtn_rl.config import StageConfig
from gtn_rl.fitness import greedy_return
from gtn_rl.models.environment import bandits
from gtn_rl.stages.pipeline import Pipeline, own_metrics
from gtn_rl.stages.result import StageResult

GAINS = (1.0, 0.6, 0.35, 0.2)
"""Factors on the network's outputs to try; see ``LearnedVariants.targets``."""


def run_soften(pipeline: Pipeline, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
    """Plays the greedy policy at each gain, takes the best, and moves initial states to where that policy goes."""
    teacher, judged = pipeline.teacher, partial(pipeline.judge(), partial(bandits, pipeline.teacher))
    with contextlib.closing(pipeline.tracker(folder, stage, None, pipeline.world)) as tracker:
        before = judged()
        tracker.scalars(0, before.metrics)
        played = first(pipeline.world, lambda: [_played(pipeline, gain) for gain in GAINS])
        for i, (gain, (mean, steps)) in enumerate(zip(GAINS, played, strict=True)):
            tracker.scalars(i + 1, {"meta/gain": gain, "real/greedy": mean, "cost/real_steps": steps})
        returns = {gain: mean for gain, (mean, _) in zip(GAINS, played, strict=True)}
        gain, reached, kept = max(GAINS, key=lambda gain: returns[gain]), before, False
        if gain != 1.0:
            as_it_was = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
            teacher.soften(gain)
            steps = pipeline.harvest_from_greedy()
            after = judged()
            tracker.scalars(
                len(GAINS) + 1, {**after.metrics, "cost/real_steps": steps + after.metrics["cost/real_steps"]}
            )
            kept = after.score >= before.score
            if kept:
                reached = after
            else:
                teacher.load_state_dict(as_it_was)
                pipeline.forget_harvest()
        gain = gain if kept else 1.0
        metrics = {**own_metrics(reached.metrics), "meta/gain": gain, "real/greedy": returns[gain]}
    return pipeline.result("soften", tracker, kept=kept, score=reached.score, metrics=metrics, before=before.score)


def _played(pipeline: Pipeline, gain: float) -> tuple[float, int]:
    """Returns the greedy policy's mean return at a gain, and the real steps taken."""
    episodes, random = pipeline.config.agents.greedy_episodes, pipeline.streams.numpy("soften")
    return greedy_return(pipeline.task, pipeline.teacher, episodes, random, gain)
