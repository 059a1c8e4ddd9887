"""Logging of a ranker's judgements to TensorBoard and ``metrics.jsonl``, in the folder of its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtn_core.run_folder import RunFolder
from gtn_core.tracking import RunTracker
from gtn_sl.nas.results import ResultFolder


class ScoreCurves:
    """Logs each judgement against the number of judgements in the folder; a later process appends to the curves.

    Args:
        results: Folder of the ranker's results.

    Raises:
        GTNError: The files cannot be written.
    """

    def __init__(self, results: ResultFolder) -> None:
        earlier = [run for encoding in results.encodings() for run in results.read(encoding).values()]
        self._done = len(earlier)
        self._cpu_seconds = sum(float(run["cpu_seconds"]) for run in earlier)
        self._failed = sum(run["failure"] is not None for run in earlier)
        self._best = max((float(run["value"]) for run in earlier if run["failure"] is None), default=None)
        settings = {key: value for key, value in results.identity().items() if value is not None}
        self._tracker = RunTracker(RunFolder(results.path), after=self._done or None, settings=settings)

    def add(self, run: Mapping[str, Any]) -> None:
        """Logs one judgement, as returned by ``gtn_sl.nas.scorer.judge_once``."""
        self._done += 1
        self._cpu_seconds += run["cpu_seconds"]
        values = {"cost/cpu_seconds": self._cpu_seconds}
        if run["failure"] is None:
            self._best = run["value"] if self._best is None else max(self._best, run["value"])
            values |= {"score/value": run["value"], "score/best": self._best}
        else:
            self._failed += 1
        self._tracker.scalars(self._done, {**values, "score/failed": self._failed})

    def close(self) -> None:
        """Flushes and closes the files."""
        self._tracker.close()
