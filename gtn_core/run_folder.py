"""A run folder: everything that one meta-training leaves behind, and the lock that reserves it for one process."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any, Literal, get_args

from gtn_core.config import changed_settings, read_yaml, resolve, write_yaml
from gtn_core.errors import UsageError
from gtn_core.file_lock import held_file
from gtn_core.folder import obstacle
from gtn_core.whole_file import replacing

Line = Literal["command", "start", "images"]
"""What a run folder keeps a line about: the command that began it, the teacher that it started from, and the digest of a
user's own images."""
LINES: tuple[Line, ...] = get_args(Line)

TEMPORARY = ".*.tmp"
"""Pattern of what a process leaves that was killed while it wrote a file."""


@dataclass(frozen=True, init=False)
class RunFolder:
    """The files of a run, by meaning.

    Attributes:
        path: The folder.
        whole: For the folder of a stage, that of the whole run, whose lock covers it; otherwise ``None``.
    """

    path: Path
    whole: Path | None

    def __init__(self, path: str | Path, whole: Path | None = None) -> None:
        object.__setattr__(self, "path", Path(path))
        object.__setattr__(self, "whole", whole)

    @property
    def config(self) -> Path:
        """The resolved config, YAML."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """Logged values: one JSON object per line, one line per outer step or validation."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def state(self) -> Path:
        """The state that a resumed run continues from."""
        return self.path / "state" / "latest.safetensors"

    @property
    def teacher(self) -> Path:
        """The teacher that was best on validation data."""
        return self.path / "teacher.safetensors"

    @property
    def report(self) -> Path:
        """Plots and tables for the user."""
        return self.path / "report"

    @property
    def stages(self) -> Path:
        """The folders of an environment's stages."""
        return self.path / "stages"

    @property
    def log(self) -> Path:
        """The run's log."""
        return self.path / "run.log"

    @property
    def has_trained(self) -> bool:
        """Whether anything would be lost with the folder: a state, the results of a stage, or a teacher."""
        return self.state.is_file() or any(self.stages.glob("*/**/*.safetensors")) or self.teacher.is_file()

    def create(self) -> None:
        """Creates the folder of a new run.

        Raises:
            UsageError: The folder already holds a run or other files, or cannot be created.
        """
        self.refuse_taken()
        try:
            self.state.parent.mkdir(parents=True, exist_ok=True)
            self.report.mkdir(exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot create the run folder {self.path}: {error.strerror}") from error

    def refuse_taken(self) -> None:
        """Checks, without creating anything, that a new run can begin in the folder.

        Raises:
            UsageError: The folder already holds a run or other files, or cannot be created.
        """
        self._refuse_trained()
        if why := obstacle(self.path):
            raise UsageError(f"cannot create the run folder {self.path}: {why}")
        self._refuse_others_files()

    def clear(self) -> None:
        """Removes what is left of a run that ended before any training; the caller must hold the lock.

        Raises:
            UsageError: The folder holds a run by now.
        """
        self._refuse_trained()
        for left in (self.config, self.metrics, *map(self._line, LINES)):
            left.unlink(missing_ok=True)

    def _refuse_trained(self) -> None:
        if self.has_trained:
            begun = self.config.is_file()
            way = f"; resume it with --resume {self.path}, or" if begun else " without its config.yaml;"
            raise UsageError(f"{self.path} already holds a run{way} choose another --out")

    def _refuse_others_files(self) -> None:
        """Raises UsageError if a file that the run would replace is there, but no folder ``state``, which runs begin with."""
        files = (self.config, self.metrics, self.log, self.path / "stages.json", *map(self._line, LINES))
        replaced = (*files, self.report, self.tensorboard, self.stages)
        if not self.state.parent.exists() and (there := [file.name for file in replaced if file.exists()]):
            raise UsageError(f"{self.path} holds a {there[0]} that is not of a run; choose another --out")

    def write_config(self, settings: Any) -> None:
        """Writes the resolved config, which makes the folder a run."""
        with replacing(self.config) as file:
            write_yaml(settings, file.write)

    @property
    def command(self) -> str:
        """The command that began the run; empty if none was recorded."""
        return self.remember("command", "")

    def remember_command(self, command: str) -> str:
        """Returns the command that began the run: this one, unless an earlier process has recorded one."""
        return self.remember("command", command)

    def remember(self, what: Line, text: str) -> str:
        """Returns a line about the run's beginning: an earlier process's if there is one, else this one, now recorded."""
        path = self._line(what)
        if path.is_file():
            return path.read_text(encoding="utf-8").strip()
        if text:
            self.note(what, text)
        return text

    def note(self, what: Line, text: str) -> None:
        """Records a line about the beginning of the run, replacing that of an earlier process."""
        with replacing(self._line(what)) as file:
            file.write(f"{text}\n".encode())

    def _line(self, what: Line) -> Path:
        return self.path / f"{what}.txt"

    def read_config(self) -> dict[str, Any]:
        """Returns the resolved config.

        Raises:
            UsageError: The folder does not hold a run, or its config cannot be read.
        """
        if not self.config.is_file():
            raise UsageError(f"{self.path} is not a run folder: it has no config.yaml")
        return read_yaml(self.config)

    def refuse_other_settings(self, settings: Any, may_change: Sequence[str]) -> None:
        """Checks that a resumed run keeps the settings that it began with.

        Args:
            settings: The config to resume with.
            may_change: Patterns of the names of settings that may change, e.g. ``outer.minutes`` or ``compute.*``.

        Raises:
            UsageError: Another setting differs, or there is no run here.
        """
        before = resolve(type(settings), self.read_config())
        changed = changed_settings(before, settings)
        others = [name for name in changed if not any(fnmatch(name, pattern) for pattern in may_change)]
        if others:
            raise UsageError(
                f"{self.path} was started with a different {', '.join(others)}: a resumed run keeps the settings in"
                f" its config.yaml (except {', '.join(may_change)})"
            )

    def lock(self) -> IO[str]:
        """Locks the run for this process until the returned file is closed; removes killed processes' temporary files.

        Raises:
            GTNError: Another process holds the lock, or it cannot be written.
        """
        file = held_file((self.whole or self.path) / "state" / "lock", f"another process is working on {self.path}")
        folders = (self.state.parent, self.report, self.tensorboard, self.stages)
        for left in itertools.chain(self.path.glob(TEMPORARY), *(folder.rglob(TEMPORARY) for folder in folders)):
            left.unlink(missing_ok=True)
        return file

    @contextlib.contextmanager
    def logged(self) -> Iterator[None]:
        """Writes log records of the block to the run's log file, too."""
        handler = logging.FileHandler(self.log, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger = logging.getLogger()
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            handler.close()

    def metric_rows(self) -> Iterator[dict[str, Any]]:
        """Yields the logged rows in order, without a last line that was cut short by a kill."""
        if not self.metrics.is_file():
            return
        with self.metrics.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    yield json.loads(line)

    def drop_metrics_after(self, iteration: int, stage: str | None = None) -> None:
        """Removes the rows that a resumed run will log again; with several stages, those of one stage."""
        rows = [row for row in self.metric_rows() if row["iteration"] <= iteration or row.get("stage") != stage]
        if self.metrics.is_file():
            with replacing(self.metrics) as file:
                file.writelines(f"{json.dumps(row)}\n".encode() for row in rows)


def teacher_of(path: Path) -> Path:
    """Returns the teacher's file if a path is a run folder that holds one, else the path itself."""
    teacher = RunFolder(path).teacher
    return teacher if teacher.is_file() else path
