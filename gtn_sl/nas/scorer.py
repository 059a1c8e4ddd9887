"""A ranker at work: its judgement of one architecture, kept in a folder; a failure is a result, too."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gtn_core.memory.allocation import is_out_of_memory
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers import Judge, Ranker, Score, Setting
from gtn_sl.nas.rankers.kept_training import spent_on
from gtn_sl.nas.results import Fields, ResultFolder, Runs, folder_for

log = logging.getLogger(__name__)

SCORES = "scores"
"""Folder of the rankers' results within a folder of work."""

PREPARED = "prepared"
"""Folder, within a ranker's own, of what it took long to prepare."""

COSTS = ("cpu_seconds", "wall_seconds", "steps", "images")

FIELDS = Fields(costs=COSTS, results=("value",))
"""What every judgement has."""


OUT_OF_MEMORY = "out of memory"
"""What the failures begin with that another day may not have."""


class Scorer:
    """A ranker with the folder of its results: what stands there is not judged again, and it is prepared only when needed.

    Args:
        ranker: How.
        setting: Where.
        folder: A folder of work; the ranker's results get a folder of their own in it.

    Attributes:
        results: The folder of its results.
    """

    def __init__(self, ranker: Ranker, setting: Setting, folder: Path) -> None:
        self.ranker, self.setting = ranker, setting
        self.results = score_folder(ranker, setting, folder)
        self._judge: Judge | None = None
        self._judged: set[tuple[str, int]] = set()

    def run(self, candidate: Candidate, seed: int) -> dict[str, Any]:
        """Returns the score of one judgement and its cost, of this or of an earlier day; see ``judge_once``.

        Raises:
            GTNError: The ranker cannot judge here, or a file cannot be written.
        """
        runs, own = self.results.read(candidate.encoding), (candidate.encoding, seed)
        if seed not in runs or not (own in self._judged or self._stands(runs[seed])):
            runs[seed] = self.judge(candidate, seed)
            self._judged.add(own)
            self.results.write(candidate.encoding, runs)
        return runs[seed]

    def known(self, encoding: str) -> Runs:
        """Returns the judgements of an architecture that need not be made again, by seed."""
        return {seed: run for seed, run in self.results.read(encoding).items() if self._stands(run)}

    def _stands(self, run: Mapping[str, Any]) -> bool:
        """Says whether a judgement of an earlier day need not be made again."""
        failure = run["failure"]
        return failure is None or not (self.ranker.retries or failure.startswith(OUT_OF_MEMORY))

    def judge(self, candidate: Candidate, seed: int) -> dict[str, Any]:
        """Judges, whatever stands in the folder; see ``judge_once``.

        Raises:
            GTNError: The ranker cannot judge here.
        """
        return judge_once(self.prepared(), candidate, seed)

    def costs(self) -> tuple[float, float | None]:
        """Returns the CPU-seconds of preparing and those paid before; ``None`` where nobody knows them."""
        if "prepared" not in self.results.identity():
            self.prepared()
        identity = self.results.identity()
        return float(identity["prepared"]), identity["paid_before"]

    def check(self) -> None:
        """Makes sure that the ranker can judge here: what speaks against it is no failure of an architecture.

        Raises:
            GTNError: See ``Ranker.check``.
        """
        self.ranker.check(self.setting)

    def prepared(self) -> Judge:
        """Returns the ranker's judgement, for which it is prepared the first time, or reads what its folder holds.

        Raises:
            GTNError: The ranker cannot judge here, or a file cannot be written.
        """
        if self._judge is None:
            self.check()
            keep = self.results.path / PREPARED
            earlier, started = spent_on(keep), time.process_time()
            self._judge = self.ranker.prepare(dataclasses.replace(self.setting, keep=keep))
            costs = {"prepared": earlier + time.process_time() - started, "paid_before": self.ranker.paid_before()}
            self.results.identify({**_identity(self.ranker, self.setting), **costs, **self.results.identity()})
        return self._judge


def score_folder(ranker: Ranker, setting: Setting, folder: Path) -> ResultFolder:
    """Returns where a ranker's results lie in a folder of work."""
    return folder_for(folder / SCORES, ranker.name, _identity(ranker, setting), FIELDS)


def judge_once(judge: Judge, candidate: Candidate, seed: int) -> dict[str, Any]:
    """Judges one architecture; returns its score and cost, or why there is none."""
    wall, cpu = time.perf_counter(), time.process_time()
    score, failure = _guarded(judge, candidate, seed)
    seconds = time.process_time() - cpu
    if failure is not None:
        log.warning("%s, seed %d, is ranked last: %s", candidate.encoding, seed, failure)
    return {
        "value": score.value if failure is None else None,
        "failure": failure,
        "cpu_seconds": seconds if score.cpu_seconds is None else score.cpu_seconds,
        "wall_seconds": time.perf_counter() - wall,
        "steps": score.steps,
        "images": score.images,
    }


def _guarded(judge: Judge, candidate: Candidate, seed: int) -> tuple[Score, str | None]:
    """Returns a score, and why it is none; whatever a ranker raises, one architecture must not end the work on all others."""
    try:
        score = _in_plain_numbers(judge(candidate, seed))
        finite = math.isfinite(score.value)
    except Exception as error:
        return Score(math.nan), f"{OUT_OF_MEMORY if is_out_of_memory(error) else type(error).__name__}: {error}"
    return score, None if finite else f"the score is {score.value}"


def _in_plain_numbers(score: Score) -> Score:
    """Returns a score as JSON can tell it; numpy's numbers are none of Python's."""
    seconds = None if score.cpu_seconds is None else float(score.cpu_seconds)
    return Score(float(score.value), int(score.steps), int(score.images), seconds)


def _identity(ranker: Ranker, setting: Setting) -> dict[str, Any]:
    return {
        **ranker.identity(),
        "space": setting.space.name,
        **setting.task.identity(),
        "images": setting.images,
        "seed": setting.seed,
    }
