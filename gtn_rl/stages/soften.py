"""The stage ``soften``: the gain at which a reward's greedy policy does best, kept only if agents do no worse with it."""

from __future__ import annotations

import contextlib

import torch

from gtn_core.distributed import first
from gtn_core.run_folder import RunFolder
from gtn_rl.config import StageConfig
from gtn_rl.fitness import Greedy, real_returns
from gtn_rl.model import as_bandit
from gtn_rl.pipeline import Pipeline, own_metrics
from gtn_rl.stage_result import StageResult

GAINS = (1.0, 0.6, 0.35, 0.2)
"""What the network's outputs are multiplied by; see ``LearnedVariants.targets``."""


def run_soften(pipeline: Pipeline, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
    """Plays the greedy policy at each gain, takes the best, and starts initial states anew from where that one goes."""
    teacher, judge = pipeline.teacher, pipeline.judge()
    with contextlib.closing(pipeline.tracker(folder, stage, None, pipeline.world)) as tracker:
        before = judge(lambda copies: as_bandit(teacher.model(copies)))
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
            after = judge(lambda copies: as_bandit(teacher.model(copies)))
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
    spent = tracker.total - pipeline.cost
    return StageResult(
        name="soften",
        kept=kept,
        score=reached.score,
        outer_steps=0,
        real_steps=spent.real_steps,
        cpu_seconds=round(spent.cpu_seconds, 2),
        metrics=metrics,
        before=before.score,
    )


def _played(pipeline: Pipeline, gain: float) -> tuple[float, float]:
    """Returns the greedy policy's mean return at a gain, and the real steps that it took."""
    episodes = 4 * pipeline.config.agents.validation_episodes
    with torch.no_grad():
        policies = Greedy(gain).train(pipeline.teacher.model(), torch.Generator())
    returns, steps = real_returns(pipeline.task, policies, 1, episodes, pipeline.streams.numpy("soften"))
    return float(returns.mean()), float(steps)
