"""Ranking: a ranker's score of every architecture, with its cost; a failure is a result, too, and the worst one."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gtn_core.errors import UsageError
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers import Judge, Ranker, Score, Setting
from gtn_sl.nas.results import ResultFolder, Runs, folder_for

log = logging.getLogger(__name__)

SCORES = "scores"
"""Folder of the rankers' results within a folder of work."""

COSTS = ("cpu_seconds", "wall_seconds", "steps", "images")


@dataclass(frozen=True)
class Scores:
    """What a ranker found.

    Attributes:
        ranker: Its specification.
        values: Mean score over seeds by encoding; minus infinity where a seed failed.
        failures: Why, by encoding.
        costs: Mean cost of judging one architecture once, by ``COSTS``.
        prepared: CPU-seconds that preparing took.
        paid_before: CPU-seconds spent before, e.g. on the teacher; ``None`` where nobody knows.
    """

    ranker: str
    values: dict[str, float]
    failures: dict[str, str]
    costs: dict[str, float]
    prepared: float
    paid_before: float | None

    def order(self) -> list[str]:
        """Returns the encodings, the best first; what failed comes last, and equals keep their order."""
        return sorted(self.values, key=lambda encoding: -self.values[encoding])


def rank(
    ranker: Ranker,
    candidates: Sequence[Candidate],
    setting: Setting,
    seeds: Sequence[int],
    folder: Path,
    after_one: Callable[[], object] | None = None,
) -> Scores:
    """Judges architectures that a folder does not hold scores of already.

    Args:
        ranker: How.
        candidates: What; of the setting's space.
        setting: Where.
        seeds: Each architecture is judged once with each.
        folder: A folder of work; the ranker's results get a folder of their own in it.
        after_one: Called after each judgement, those of earlier runs included.

    Raises:
        UsageError: There is nothing to judge.
        GTNError: The ranker cannot judge here, or a file cannot be written. Whatever it raises over one architecture is that
            one's result.
    """
    if not candidates or not seeds:
        raise UsageError(f"ranker {ranker.name}: there are no architectures to judge, or no seeds")
    results = score_folder(ranker, setting, folder)
    prepared = _Prepared(ranker, setting, results)
    found: dict[str, Runs] = {}
    for candidate in candidates:
        runs = results.read(candidate.encoding)
        for seed in seeds:
            if seed not in runs:
                runs[seed] = judge_once(prepared.judge(), candidate, seed)
                results.write(candidate.encoding, runs)
            if after_one is not None:
                after_one()
        found[candidate.encoding] = {seed: runs[seed] for seed in seeds}
    return collect(ranker.name, found, float(results.identity().get("prepared", 0.0)), ranker.paid_before())


def score_folder(ranker: Ranker, setting: Setting, folder: Path) -> ResultFolder:
    """Returns where a ranker's results lie in a folder of work."""
    return folder_for(folder / SCORES, ranker.name, _identity(ranker, setting))


def judge_once(judge: Judge, candidate: Candidate, seed: int) -> dict[str, Any]:
    """Judges one architecture; returns its score and cost, or why there is none."""
    wall, cpu = time.perf_counter(), time.process_time()
    score, failure = _guarded(judge, candidate, seed)
    seconds = time.process_time() - cpu
    if failure is not None:
        log.warning("%s, seed %d, is ranked last: %s", candidate.encoding, seed, failure)
    return {
        "value": float(score.value) if failure is None else None,
        "failure": failure,
        "cpu_seconds": seconds if score.cpu_seconds is None else score.cpu_seconds,
        "wall_seconds": time.perf_counter() - wall,
        "steps": score.steps,
        "images": score.images,
    }


def _guarded(judge: Judge, candidate: Candidate, seed: int) -> tuple[Score, str | None]:
    """Returns a score, and why it is none; whatever a ranker raises, one architecture must not end the work on all others."""
    try:
        score = judge(candidate, seed)
        finite = math.isfinite(score.value)
    except Exception as error:
        return Score(math.nan), f"{type(error).__name__}: {error}"
    return score, None if finite else f"the score is {score.value}"


def collect(ranker: str, found: dict[str, Runs], prepared: float, paid_before: float | None) -> Scores:
    """Puts the runs of each architecture together."""
    values, failures = {}, {}
    for encoding, runs in found.items():
        failed = [run["failure"] for run in runs.values() if run["failure"] is not None]
        if failed:
            failures[encoding] = failed[0]
        values[encoding] = -math.inf if failed else float(np.mean([run["value"] for run in runs.values()]))
    costs = {key: float(np.mean([run[key] for runs in found.values() for run in runs.values()])) for key in COSTS}
    return Scores(ranker, values, failures, costs, prepared, paid_before)


class _Prepared:
    """A ranker that is prepared when it is first needed; what that took is written down."""

    def __init__(self, ranker: Ranker, setting: Setting, results: ResultFolder) -> None:
        self.ranker, self.setting, self.results = ranker, setting, results
        self._judge: Judge | None = None

    def judge(self) -> Judge:
        if self._judge is None:
            started = time.process_time()
            self._judge = self.ranker.prepare(self.setting)
            taken = time.process_time() - started
            self.results.identify({**_identity(self.ranker, self.setting), "prepared": taken})
        return self._judge


def _identity(ranker: Ranker, setting: Setting) -> dict[str, Any]:
    return {
        **ranker.identity(),
        "space": setting.space.name,
        "task": setting.data.task.name,
        "images": setting.images,
        "seed": setting.seed,
    }
