"""Runs one stage of a pipeline, or loads its result if it is finished."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from gtn_core.checkpoint import load_into, save_checkpoint
from gtn_core.cost import Cost
from gtn_core.distributed import first
from gtn_core.distributed.files import read_first
from gtn_core.errors import CheckpointError
from gtn_core.run_folder import RunFolder
from gtn_rl.config import RLConfig, StageConfig
from gtn_rl.stages.fit import run_fit
from gtn_rl.stages.folders import RESULT_KIND, result_file, stage_folder
from gtn_rl.stages.judge import run_judge
from gtn_rl.stages.pipeline import Pipeline
from gtn_rl.stages.result import StageResult
from gtn_rl.stages.scale import run_scale
from gtn_rl.stages.soften import run_soften
from gtn_rl.stages.train import run_training

log = logging.getLogger(__name__)

Run = Callable[[Pipeline, int, StageConfig, RunFolder], StageResult]
"""``(pipeline, index of the stage, its settings, its folder)``: changes the pipeline's teacher and returns the
result."""

WITHOUT_OUTER_STEPS: dict[str, Run] = {
    "fit": run_fit,
    "judge": run_judge,
    "scale": run_scale,
    "soften": run_soften,
}
"""Stages without outer steps, by name; all others are outer loops."""


def is_done(run: RunFolder, config: RLConfig) -> bool:
    """Returns whether a run folder holds the results of all stages."""
    return all(result_file(stage_folder(run, index, stage)).is_file() for index, stage in enumerate(config.stages))


def run_stage(pipeline: Pipeline, index: int) -> None:
    """Runs the stage at an index, or loads its result if it is finished."""
    stage, world = pipeline.config.stages[index], pipeline.world
    folder = stage_folder(pipeline.run, index, stage)
    done = result_file(folder)
    if first(world, done.is_file):
        _reload(pipeline, done)
        if stage.name == "greedy" or (stage.name == "soften" and pipeline.results[-1].kept):
            pipeline.harvest_from_greedy()
    else:
        log.info("stage %d of %d: %s", index + 1, len(pipeline.config.stages), stage.name)
        first(world, lambda: folder.state.parent.mkdir(parents=True, exist_ok=True))
        result = WITHOUT_OUTER_STEPS.get(stage.name, run_training)(pipeline, index, stage, folder)
        document = {"kind": RESULT_KIND, "result": vars(result)}
        first(world, lambda: save_checkpoint(done, pipeline.teacher.state_dict(), document))
        pipeline.results.append(result)
        log.info("%s", result)
    pipeline.pending = Cost()


def _reload(pipeline: Pipeline, path: Path) -> None:
    tensors, document = read_first(pipeline.world, path, RESULT_KIND)
    load_into(pipeline.teacher, tensors, path)
    try:
        pipeline.results.append(StageResult(**document["result"]))
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is not the result of a stage: {error}") from error
