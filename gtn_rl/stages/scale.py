"""The stage ``scale``: finds the size of the reward that serves agents best; kept only if usual agents do no worse."""

from __future__ import annotations

import contextlib
import logging

from gtn_core.run_folder import RunFolder
from gtn_rl.config import StageConfig
from gtn_rl.stages.pipeline import Pipeline, own_metrics
from gtn_rl.stages.result import StageResult
from gtn_rl.stages.reward_size import FACTORS, try_sizes

log = logging.getLogger(__name__)


def run_scale(pipeline: Pipeline, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
    """Tries several sizes of the reward and takes the best."""
    teacher = pipeline.teacher
    log.info("trying %d sizes of the reward at once", len(FACTORS))
    with contextlib.closing(pipeline.tracker(folder, stage, None, pipeline.world)) as tracker:
        tried = try_sizes(teacher, pipeline.judge(logs=True))
        for i, (factor, verdict) in enumerate(tried.items()):
            tracker.scalars(i, {"meta/reward_factor": factor, **verdict.all.metrics})
        best = max(tried, key=lambda factor: tried[factor].all.score)  # the first of equals
        before, after = tried[1.0].usual, tried[best].usual  # judged as in other stages, so that scores are comparable
        kept = best != 1.0 and after.score >= before.score
        factor, reached = (best, after) if kept else (1.0, before)
        teacher.resize(factor)
        metrics = {**own_metrics(reached.metrics), "meta/reward_factor": factor}
        tracker.scalars(len(tried), metrics)
    return pipeline.result("scale", tracker, kept=kept, score=reached.score, metrics=metrics, before=before.score)
