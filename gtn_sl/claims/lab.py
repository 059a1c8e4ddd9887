"""The folder of a study: its meta-trainings and measurements, each done once and stored."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gtn_core.config import resolve
from gtn_core.errors import DivergedError
from gtn_core.progress import Progress
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_core.training_state import saved_progress
from gtn_core.whole_file import replacing
from gtn_sl.claims.scale import Scale
from gtn_sl.config import MetaTrainConfig
from gtn_sl.data import Split, TaskData
from gtn_sl.evaluation import evaluate_stream
from gtn_sl.stream import Stream
from gtn_sl.teacher_file import TeacherFile, load_teacher
from gtn_sl.training import meta_train

TRAINING_SHARE = 0.8
"""Share of the work, and of a limit in minutes, given to the meta-trainings; measuring gets the rest."""

Show = Callable[[float, str], object]
"""Progress callback: takes the share of the work done and what is being done."""


@dataclass(frozen=True)
class Made:
    """A finished meta-training.

    Attributes:
        run: Its run folder.
        outer_steps: Number of outer steps taken.
        seconds: Wall-clock time they took.
        diverged: The error message if it diverged before its end; ``None`` otherwise.
    """

    run: RunFolder
    outer_steps: int
    seconds: float
    diverged: str | None = None

    def file(self) -> TeacherFile:
        """Returns its best teacher.

        Raises:
            DivergedError: It diverged before its first teacher was saved.
        """
        if self.diverged and not self.run.teacher.is_file():
            raise DivergedError(f"{self.run.path} has no teacher to measure: {self.diverged}")
        return load_teacher(self.run.teacher)

    def validations(self) -> list[tuple[int, float]]:
        """Returns pairs of outer steps done and accuracy of fresh learners on validation data."""
        tag = "real/validation_accuracy"
        return [(row["iteration"], row[tag]) for row in self.run.metric_rows() if tag in row]


class Lab:
    """Trains and measures, and does nothing twice: an interrupted study resumes where it stopped.

    Args:
        folder: Where everything is stored.
        base: Settings shared by all meta-trainings.
        scale: The budget.
        data: The task's data.
        show: Called with progress.

    Attributes:
        tested_on: The real test images that learners are tested on.
    """

    def __init__(self, folder: Path, base: MetaTrainConfig, scale: Scale, data: TaskData, show: Show) -> None:
        self.folder, self.base, self.scale, self.data, self.show = folder, base, scale, data, show
        self.streams = Streams(base.seed)
        self.learner = base.learner.architecture
        self.device = base.compute.device
        self.tested_on = _some(data.test, scale.test_images, self.streams.torch("test-images"))

    def train(self, name: str, config: MetaTrainConfig, command: str, show: Show) -> Made:
        """Meta-trains in the run folder ``name``, resumes an unfinished run there, or reads a finished one.

        A resumed run takes its device and image folder from ``config``, and all else from its own settings.
        """
        run, kept = RunFolder(self.folder / "runs" / name), self.folder / "runs" / name / "outcome.json"
        if not kept.is_file():
            self._write(kept, self._train(run, config, command, show))
        outcome = json.loads(kept.read_text(encoding="utf-8"))
        return Made(run, **outcome)

    def _train(self, run: RunFolder, config: MetaTrainConfig, command: str, show: Show) -> dict[str, Any]:
        diverged = None
        resume = run.config.is_file()
        if resume:
            begun, place = resolve(MetaTrainConfig, run.read_config()), config
            compute = dataclasses.replace(begun.compute, device=place.compute.device)
            config = dataclasses.replace(begun, data_dir=place.data_dir, compute=compute)

        def listener(now: Progress, share: float, values: Mapping[str, float]) -> None:
            show(min(1.0, share), f"step {now.iteration}, best {100 * now.best:.1f}%")

        try:
            progress = meta_train(config, run, resume=resume, listener=listener, command=command)
        except DivergedError as error:
            diverged = str(error)
            progress = saved_progress(run) if run.state.is_file() else Progress()  # saved before it was raised
        return {"outer_steps": progress.iteration, "seconds": round(progress.seconds, 1), "diverged": diverged}

    def measured(self, name: str, measure: Callable[[], Any]) -> Any:
        """Returns the result of ``measure`` (JSON values), from the file of that name if it already exists."""
        kept = self.folder / "measured" / f"{name.replace(' ', '-')}.json"
        if not kept.is_file():
            self.show(TRAINING_SHARE, f"measuring {name}")
            self._write(kept, measure())
        return json.loads(kept.read_text(encoding="utf-8"))

    def accuracies(
        self, name: str, stream: Stream, learner: str | None = None, *, curve: bool = False
    ) -> dict[str, Any]:
        """Returns the result of ``tested``, stored under ``name``."""
        return dict(self.measured(name, lambda: self.tested(stream, learner, curve=curve)))

    def tested(self, stream: Stream, learner: str | None = None, *, curve: bool = False) -> dict[str, Any]:
        """Trains fresh learners on a stream and tests them on real test images.

        Args:
            stream: What they are trained on.
            learner: Their architecture; ``None`` takes the study's ``learner.architecture``.
            curve: Whether to record the accuracy after every inner step, too.

        Returns:
            ``Evaluation.to_json()``; there, learners that diverged have the accuracy of a constant guess.
        """
        name, count = learner or self.learner, self.scale.learners
        seeds = [self.streams.seed("evaluation-learner", index) for index in range(count)]
        images, stream = self.scale.curve_images if curve else 0, stream.to(self.device)
        return evaluate_stream("", stream, name, self.data, self.tested_on, seeds, curve_images=images).to_json()

    def _write(self, path: Path, value: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(json.dumps(value, indent=1).encode())


def _some(split: Split, count: int | None, random: torch.Generator) -> Split:
    """Returns ``count`` examples of a split, drawn at random; all of them if there are no more, or if it is ``None``."""
    if count is None or count >= len(split):
        return split
    chosen = torch.randperm(len(split), generator=random)[:count]
    return Split(split.images[chosen], split.labels[chosen])
