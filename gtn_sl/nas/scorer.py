"""Runs a ranker on one architecture at a time and keeps each judgement in a folder; a failure is also a result."""

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
"""Folder of the rankers' results within the work folder."""

PREPARED = "prepared"
"""Folder, within a ranker's own, of what was expensive to prepare."""

COSTS = ("cpu_seconds", "wall_seconds", "steps", "images")

FIELDS = Fields(costs=COSTS, results=("value",))
"""Numbers that every judgement has."""


OUT_OF_MEMORY = "out of memory"
"""Prefix of failures that may not recur, so that the architecture is judged again in a later run."""


class Scorer:
    """A ranker with a folder of its results, which are reused. The ranker is prepared only when needed.

    Args:
        ranker: The ranker.
        setting: Space, task and images.
        folder: Work folder; the ranker's results get their own folder in it.

    Attributes:
        results: Folder of the ranker's results.
    """

    def __init__(self, ranker: Ranker, setting: Setting, folder: Path) -> None:
        self.ranker, self.setting = ranker, setting
        self.results = score_folder(ranker, setting, folder)
        self._judge: Judge | None = None
        self._judged: set[tuple[str, int]] = set()

    def run(self, candidate: Candidate, seed: int) -> dict[str, Any]:
        """Returns a judgement's score and cost, from the folder if it is there; see ``judge_once``.

        Raises:
            GTNError: The ranker does not support this setting, or a file cannot be written.
        """
        runs, own = self.results.read(candidate.encoding), (candidate.encoding, seed)
        if seed not in runs or not (own in self._judged or self._stands(runs[seed])):
            runs[seed] = self.judge(candidate, seed)
            self._judged.add(own)
            self.results.write(candidate.encoding, runs)
        return runs[seed]

    def known(self, encoding: str) -> Runs:
        """Returns the reusable judgements of an architecture, by seed."""
        return {seed: run for seed, run in self.results.read(encoding).items() if self._stands(run)}

    def _stands(self, run: Mapping[str, Any]) -> bool:
        """Returns whether a judgement of an earlier run can be reused."""
        failure = run["failure"]
        return failure is None or not (self.ranker.retries or failure.startswith(OUT_OF_MEMORY))

    def judge(self, candidate: Candidate, seed: int) -> dict[str, Any]:
        """Judges an architecture regardless of what the folder holds, and writes no result; see ``judge_once``.

        Raises:
            GTNError: The ranker does not support this setting, or a file cannot be written.
        """
        return judge_once(self.prepared(), candidate, seed)

    def costs(self) -> tuple[float, float | None]:
        """Returns the CPU-seconds of preparation and those paid before (``None`` if unknown); prepares if necessary.

        Raises:
            GTNError: The ranker does not support this setting, or a file cannot be written.
        """
        if "prepared" not in self.results.identity():
            self.prepared()
        identity = self.results.identity()
        return float(identity["prepared"]), identity["paid_before"]

    def check(self) -> None:
        """Checks that the ranker supports this setting, so that no architecture is blamed for it.

        Raises:
            GTNError: See ``Ranker.check``.
        """
        self.ranker.check(self.setting)

    def prepared(self) -> Judge:
        """Returns the ranker's ``Judge``; the first call prepares the ranker, resuming from its folder.

        Raises:
            GTNError: The ranker does not support this setting, or a file cannot be written.
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
    """Returns the folder of a ranker's results within a work folder."""
    return folder_for(folder / SCORES, ranker.name, _identity(ranker, setting), FIELDS)


def judge_once(judge: Judge, candidate: Candidate, seed: int) -> dict[str, Any]:
    """Judges one architecture.

    Returns:
        ``value`` (``None`` after a failure), ``failure`` (the reason, or ``None``), ``cpu_seconds``, ``wall_seconds``,
        ``steps`` and ``images``.
    """
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
    """Returns a score and the reason for a failure, if any; an exception on one architecture must not stop the rest."""
    try:
        score = _in_plain_numbers(judge(candidate, seed))
    except Exception as error:
        return Score(math.nan), f"{OUT_OF_MEMORY if is_out_of_memory(error) else type(error).__name__}: {error}"
    for name, cost in (("steps", score.steps), ("images", score.images), ("cpu_seconds", score.cpu_seconds)):
        if cost is not None and not 0 <= cost < math.inf:
            return Score(math.nan), f"the score's {name} is {cost}; a cost must be finite and not negative"
    return score, None if math.isfinite(score.value) else f"the score is {score.value}"


def _in_plain_numbers(score: Score) -> Score:
    """Converts a score's numbers, e.g. numpy scalars, to Python numbers, which JSON can represent."""
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
