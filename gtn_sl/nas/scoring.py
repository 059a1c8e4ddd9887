"""Ranking: a ranker's score of every architecture, with its cost; a failure is a result, too, and the worst one."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gtn_core.distributed import (
    SingleProcess,
    World,
    everywhere,
    first,
    first_before_others,
    first_on_each_machine,
    share_out,
)
from gtn_core.errors import UsageError
from gtn_core.memory.allocation import is_out_of_memory
from gtn_core.seeding import Streams
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers import Judge, Ranker, Score, Setting
from gtn_sl.nas.rankers.kept_training import spent_on
from gtn_sl.nas.results import Fields, ResultFolder, Runs, folder_for
from gtn_sl.nas.score_curves import ScoreCurves

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

MOST_SEEDS = 1 << 16
"""Judgements of one architecture under one root seed."""


def judgement_seeds(root: int, count: int) -> Sequence[int]:
    """Returns the seeds, below 2**63, of ``count`` judgements under a root seed, none of which another root has."""
    if count > MOST_SEEDS:
        raise UsageError(f"an architecture is judged at most {MOST_SEEDS:,} times, not {count:,}")
    if root < (1 << 63) // MOST_SEEDS:
        return range(root * MOST_SEEDS, root * MOST_SEEDS + count)
    return [Streams(root).seed("judgement", index) for index in range(count)]


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
    after_one: Callable[[], object] = lambda: None,
    world: World | None = None,
) -> Scores:
    """Judges architectures that a folder does not hold scores of already.

    Args:
        ranker: How.
        candidates: What; of the setting's space.
        setting: Where.
        seeds: Each architecture is judged once with each.
        folder: A folder of work; the ranker's results get a folder of their own in it.
        after_one: Called after each judgement, those of earlier runs included.
        world: The processes that the judgements are shared out to. All must see the folder; the first one prepares the ranker
            and writes, and the others read what it has prepared.

    Raises:
        UsageError: There is nothing to judge.
        GTNError: The ranker cannot judge here, or a file cannot be written. Whatever it raises over one architecture is that
            one's result.
    """
    if not candidates or not seeds:
        raise UsageError(f"ranker {ranker.name}: there are no architectures to judge, or no seeds")
    world, by_text = world or SingleProcess(), {candidate.encoding: candidate for candidate in candidates}
    scorer = everywhere(world, lambda: Scorer(ranker, setting, folder))
    known = first(world, lambda: [(text, [*scorer.known(text).items()]) for text in by_text])
    found: dict[str, Runs] = {text: dict(runs) for text, runs in known}
    missing = [(text, seed) for text in by_text for seed in seeds if seed not in found[text]]
    for _ in range(len(by_text) * len(seeds) - len(missing)):
        after_one()

    curves = ScoreCurves(scorer.results) if missing and world.rank == 0 else None

    def keep(job: tuple[str, int], run: dict[str, Any]) -> None:
        text, seed = job
        found[text][seed] = run
        if curves is not None:
            scorer.results.write(text, found[text])
            curves.add(run)
        after_one()

    try:
        if missing:
            first_on_each_machine(world, scorer.check)
            first_before_others(world, scorer.prepared)
            share_out(world, missing, lambda job: scorer.judge(by_text[job[0]], job[1]), keep)
    finally:
        if curves is not None:
            curves.close()
    runs = {text: {seed: found[text][seed] for seed in seeds} for text in by_text}
    return _collect(scorer.results, runs)


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


def read_scores(results: ResultFolder, encodings: Sequence[str], seeds: Sequence[int]) -> Scores | None:
    """Returns a ranker's scores from its folder; ``None`` where it lacks one of these architectures or seeds."""
    found = {encoding: results.read(encoding) for encoding in encodings}
    if not all(set(seeds) <= set(runs) for runs in found.values()):
        return None
    return _collect(results, {encoding: {seed: runs[seed] for seed in seeds} for encoding, runs in found.items()})


def _collect(results: ResultFolder, found: dict[str, Runs]) -> Scores:
    """Puts the runs of each architecture together."""
    identity = results.identity()
    values, failures = {}, {}
    for encoding, runs in found.items():
        failed = [run["failure"] for run in runs.values() if run["failure"] is not None]
        if failed:
            failures[encoding] = failed[0]
        values[encoding] = -math.inf if failed else float(np.mean([run["value"] for run in runs.values()]))
    costs = {key: float(np.mean([run[key] for runs in found.values() for run in runs.values()])) for key in COSTS}
    paid_before = identity.get("paid_before")
    return Scores(
        ranker=str(identity.get("ranker", results.path.name)),
        values=values,
        failures=failures,
        costs=costs,
        prepared=float(identity.get("prepared", 0.0)),
        paid_before=None if paid_before is None else float(paid_before),
    )


def _identity(ranker: Ranker, setting: Setting) -> dict[str, Any]:
    return {
        **ranker.identity(),
        "space": setting.space.name,
        **setting.task.identity(),
        "images": setting.images,
        "seed": setting.seed,
    }
