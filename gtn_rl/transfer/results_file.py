"""``agents.jsonl``: one line per finished agent, so that an interrupted study can be resumed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gtn_core.errors import GTNError
from gtn_core.file_lock import held_file
from gtn_core.folder import make_folder
from gtn_core.whole_file import replacing
from gtn_rl.transfer.agents import AgentJob


class ResultsFile:
    """The results of a study's agents, loaded within ``locked``.

    Args:
        folder: The study's folder; created if it does not exist.

    Raises:
        UsageError: The folder cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "agents.jsonl"
        make_folder(folder)
        self._results: dict[str, dict[str, Any]] = {}
        self._trained_somehow: set[str] = set()

    def get(self, job: AgentJob) -> dict[str, Any] | None:
        """Returns a job's result; None if it is not done yet."""
        return self._results.get(job.identity)

    def outdated(self, job: AgentJob) -> bool:
        """Returns whether a job is done, but with other hyper-parameters or another version of the library."""
        return self.get(job) is None and _however_trained(job) in self._trained_somehow

    def add(self, job: AgentJob, result: dict[str, Any]) -> None:
        """Appends a result and flushes it to disk.

        Raises:
            GTNError: The file cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"job": job.to_json(), "result": result}) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise GTNError(f"cannot write {self.path}: {error.strerror}") from error
        self._results[job.identity] = result

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the folder for this process, and loads the results in it.

        Raises:
            GTNError: Another process has the folder, it cannot be written, or the file holds something else.
        """
        folder = self.path.parent
        with held_file(folder / ".lock", f"another process is working on {folder}"):
            done = self._read()
            self._results = {job.identity: result for job, result in done}
            self._trained_somehow = {_however_trained(job) for job, _ in done}
            yield

    def _read(self) -> list[tuple[AgentJob, dict[str, Any]]]:
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):  # the process was killed while writing it
            lines.pop()
            with replacing(self.path) as file:
                file.write("".join(lines).encode())
        try:
            rows = [json.loads(line) for line in lines]
            return [(AgentJob.from_json(row["job"]), row["result"]) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise GTNError(
                f"{self.path} does not hold results of a transfer study: {error}; choose another --out"
            ) from error


def _however_trained(job: AgentJob) -> str:
    """Returns the job's identity with hyper-parameters and library left out, as in files from before these fields."""
    return dataclasses.replace(job, hyperparameters={}, library=None).identity
