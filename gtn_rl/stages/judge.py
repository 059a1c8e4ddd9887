"""The stage ``judge``: validates the environment as it is."""

from __future__ import annotations

import contextlib

from gtn_core.run_folder import RunFolder
from gtn_rl.config import StageConfig
from gtn_rl.stages.pipeline import Pipeline, own_metrics
from gtn_rl.stages.result import StageResult


def run_judge(pipeline: Pipeline, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
    """Judges the environment and changes nothing."""
    with contextlib.closing(pipeline.tracker(folder, stage, None, pipeline.world)) as tracker:
        found = pipeline.judge(logs=True)(pipeline.teacher.model)
        tracker.scalars(0, {"real/score": found.score, **found.metrics})
    metrics = own_metrics(found.metrics)
    return pipeline.result("judge", tracker, kept=True, score=found.score, metrics=metrics, before=found.score)
