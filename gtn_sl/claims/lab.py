"""The folder of one claim being made again: its meta-trainings and measurements, each done once and kept."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gtn_core.checkpoint import replacing
from gtn_core.config import resolve
from gtn_core.errors import DivergedError
from gtn_core.progress import Progress
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_sl.claims.scale import Scale
from gtn_sl.config import MetaTrainConfig
from gtn_sl.data import Split, TaskData
from gtn_sl.evaluation import evaluate_stream
from gtn_sl.stream import Stream
from gtn_sl.teacher_file import TeacherFile, load_teacher
from gtn_sl.training import meta_train

TRAINING_SHARE = 0.8
"""Share of the work, and of a bound in minutes, that the meta-trainings get; measuring takes the rest."""

Show = Callable[[float, str], object]
"""``(share of the work done, what is being done)``."""


@dataclass(frozen=True)
class Made:
    """A meta-training that is over.

    Attributes:
        run: Its folder.
        outer_steps: How many it took.
        seconds: How long they took.
        diverged: The message where it did not reach its end; ``None`` where it did.
    """

    run: RunFolder
    outer_steps: int
    seconds: float
    diverged: str | None = None

    def file(self) -> TeacherFile:
        """Returns its best teacher.

        Raises:
            DivergedError: It diverged before it had one.
        """
        if self.diverged and not self.run.teacher.is_file():
            raise DivergedError(f"{self.run.path} has no teacher to measure: {self.diverged}")
        return load_teacher(self.run.teacher)

    def validations(self) -> list[tuple[int, float]]:
        """Returns the accuracy of fresh learners on validation data, with the outer steps done when it was taken."""
        tag = "real/validation_accuracy"
        return [(row["iteration"], row[tag]) for row in self.run.metric_rows() if tag in row]


class Lab:
    """Trains and measures, and does nothing twice: an interrupted study goes on where it stopped.

    Args:
        folder: Where everything is kept.
        base: Settings that all meta-trainings share.
        scale: How much work is done.
        data: The task.
        show: Told of progress.

    Attributes:
        tested_on: Real test images.
    """

    def __init__(self, folder: Path, base: MetaTrainConfig, scale: Scale, data: TaskData, show: Show) -> None:
        self.folder, self.base, self.scale, self.data, self.show = folder, base, scale, data, show
        self.streams = Streams(base.seed)
        self.learner = base.learner.architecture
        self.device = base.compute.device
        self.tested_on = _some(data.test, scale.test_images, self.streams.torch("test-images"))

    def train(self, name: str, config: MetaTrainConfig, command: str, show: Show) -> Made:
        """Meta-trains in the run folder of a name, goes on with a run that is not finished, or reads one that is.

        Where it goes on, device and folder of images are those that are asked for now.
        """
        run, kept = RunFolder(self.folder / "runs" / name), self.folder / "runs" / name / "outcome.json"
        if not kept.is_file():
            self._write(kept, self._train(run, config, command, show))
        outcome = json.loads(kept.read_text(encoding="utf-8"))
        return Made(run, **outcome)

    def _train(self, run: RunFolder, config: MetaTrainConfig, command: str, show: Show) -> dict[str, Any]:
        progress, diverged = Progress(), None
        resume = run.config.is_file()
        if resume:
            begun, place = resolve(MetaTrainConfig, run.read_config()), config
            compute = dataclasses.replace(begun.compute, device=place.compute.device)
            config = dataclasses.replace(begun, data_dir=place.data_dir, compute=compute)

        def listener(now: Progress, share: float, values: Mapping[str, float]) -> None:
            nonlocal progress
            progress = now
            show(min(1.0, share), f"step {now.iteration}, best {100 * now.best:.1f}%")

        try:
            progress = meta_train(config, run, resume=resume, listener=listener, command=command)
        except DivergedError as error:
            diverged = str(error)
        return {"outer_steps": progress.iteration, "seconds": round(progress.seconds, 1), "diverged": diverged}

    def measured(self, name: str, measure: Callable[[], Any]) -> Any:
        """Returns what ``measure`` returns (JSON values), from the file of that name where it is there already."""
        kept = self.folder / "measured" / f"{name.replace(' ', '-')}.json"
        if not kept.is_file():
            self.show(TRAINING_SHARE, f"measuring {name}")
            self._write(kept, measure())
        return json.loads(kept.read_text(encoding="utf-8"))

    def accuracies(
        self, name: str, stream: Stream, learner: str | None = None, *, curve: bool = False
    ) -> dict[str, Any]:
        """Returns what ``tested`` does, kept by a name."""
        return dict(self.measured(name, lambda: self.tested(stream, learner, curve=curve)))

    def tested(self, stream: Stream, learner: str | None = None, *, curve: bool = False) -> dict[str, Any]:
        """Trains fresh learners on a stream and tests them on real test images.

        Args:
            stream: What they learn from.
            learner: Their architecture; ``None`` takes ``learner.architecture`` of the study.
            curve: Whether to take the accuracy after every inner step, too.

        Returns:
            ``Evaluation.to_json()``; learners that diverged count as guesses there.
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
    """Returns so many examples of a split, drawn at random; all where there are no more."""
    if count is None or count >= len(split):
        return split
    chosen = torch.randperm(len(split), generator=random)[:count]
    return Split(split.images[chosen], split.labels[chosen])
