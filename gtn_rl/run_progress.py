"""The progress of the meta-training in a run folder, read from its files; nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gtn_core.checkpoint import load_document
from gtn_core.config import resolve
from gtn_core.cost import Cost
from gtn_core.run_folder import RunFolder
from gtn_core.training_state import saved_progress
from gtn_rl.config import RLConfig
from gtn_rl.stages.folders import RESULT_KIND, result_file, stage_folder


@dataclass(frozen=True)
class RunProgress:
    """The progress of a run.

    Attributes:
        share: Share of the budget spent, from 0 to 1.
        done: Whether every stage has ended.
        stage: The current stage, or the last one; None before the first.
        outer_steps: Outer steps of all stages.
        seconds: Wall-clock time of the outer loops.
        score: Best validation score of the last stage that was judged; None before the first.
        cost: Cost of the whole run so far.
    """

    share: float
    done: bool
    stage: str | None
    outer_steps: int
    seconds: float
    score: float | None
    cost: Cost


def run_progress(run: RunFolder, settings: Mapping[str, Any]) -> RunProgress:
    """Reads the progress of a run.

    Args:
        run: The run folder.
        settings: Its resolved config.

    Raises:
        GTNError: A file is damaged, or the settings are not those of such a run.
    """
    config = resolve(RLConfig, settings)
    shares = [stage.share if stage.nature.loops else 0.0 for stage in config.stages]
    spent, seconds, outer_steps, ended = 0.0, 0.0, 0, 0
    name, score = None, None
    for index, (stage, share) in enumerate(zip(config.stages, shares, strict=True)):
        folder = stage_folder(run, index, stage)
        over = result_file(folder).is_file()
        if not over and not folder.state.is_file():
            break
        ended += over
        name = stage.name
        if over and stage.nature.judges:
            score = float(load_document(result_file(folder), RESULT_KIND)["result"]["score"])
        if not stage.nature.loops:
            continue
        progress = saved_progress(folder)
        spent += share * (1.0 if over else min(1.0, config.outer(stage).spent(progress)))
        seconds += progress.seconds
        outer_steps += progress.iteration
        if not over:
            score = progress.best
    rows = list(run.metric_rows())
    cost = Cost.of(rows[-1]) if rows else Cost()
    share = spent / sum(shares) if sum(shares) else ended / len(shares)
    return RunProgress(share, ended == len(shares), name, outer_steps, seconds, score, cost)
