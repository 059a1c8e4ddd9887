"""The outer loop: draw a learner, estimate the teacher's gradient, step, log, validate, save. Knows no task."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from gtn_core.checkpoint import (
    load_checkpoint,
    load_document,
    load_into,
    pack_optimizer,
    save_checkpoint,
    unpack_optimizer,
)
from gtn_core.config import Natural, NaturalReal, Positive, PositiveReal, Share, config
from gtn_core.distributed import SingleProcess, World
from gtn_core.errors import CheckpointError, DivergedError
from gtn_core.estimators import Estimator, Teacher, Trial
from gtn_core.memory import peak_memory_mib
from gtn_core.run_folder import RunFolder
from gtn_core.tracking import Picture, Tracker

log = logging.getLogger(__name__)


@config
class OuterConfig:
    """How the teacher is meta-trained."""

    iterations: Natural | None = None
    """Outer steps; ``None`` where ``minutes`` bounds the run."""
    minutes: PositiveReal | None = None
    """Wall-clock minutes of meta-training, validation included; ``None`` where ``iterations`` bounds the run."""
    optimizer: Literal["adam", "sgd", "rmsprop"] = "adam"
    """What takes the outer step: Adam, plain gradient descent, or RMSProp."""
    lr: PositiveReal = 0.01
    """Learning rate at the start."""
    final_lr: Share = 0.1
    """Share of ``lr`` that a cosine over the run ends at."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """Decay rates of Adam's moments; RMSProp takes the second."""
    eps: PositiveReal = 1e-8
    """Added to the root of the second moment."""
    clip: PositiveReal | None = None
    """Largest norm of the meta-gradient; longer ones are scaled down."""
    accumulate: Positive = 1
    """Episodes of an outer step, whose gradients are averaged."""
    patience: Positive = 10
    """Outer steps in a row that may come to nothing, since every learner diverged, before the run ends."""
    validations: Positive = 20
    """How often, evenly over the run, the teacher is judged on validation data."""
    save_every: NaturalReal = 30.0
    """Seconds between resumable states."""


@dataclass(frozen=True)
class Validation:
    """How good a teacher is on validation data.

    Attributes:
        score: What decides which teacher is best; higher is better.
        metrics: Values to log, by tag.
        pictures: Pictures to log, by tag.
    """

    score: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)


class Job(Protocol):
    """What a task brings to the outer loop."""

    def episode(self, iteration: int, progress: float) -> Trial:
        """Returns what an outer step judges by, a function of its arguments (and the run's seed) alone.

        Args:
            iteration: Number of the episode, from 0: the outer step, where a step has one episode.
            progress: Share of the run that is done, in ``[0, 1)``.
        """

    def validate(self) -> Validation:
        """Judges the teacher as it is on fresh learners and validation data; no state of the run may move."""

    def save_teacher(self, validation: Validation, iteration: int) -> None:
        """Stores the teacher, the best so far."""


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        iteration: Outer steps done.
        seconds: Wall-clock time they took, over all the processes that a resumed run ran in.
        best: Best validation score, and the outer steps done when it was reached.
        validated: Validations done.
        fruitless: Outer steps in a row, up to now, whose every learner diverged.
    """

    iteration: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    best_iteration: int = 0
    validated: int = 0
    fruitless: int = 0


class InterruptedRun(KeyboardInterrupt):
    """The user's Ctrl-C or a SIGTERM, taken between two outer steps: the state has been saved."""


Listener = Callable[[Progress, float, Mapping[str, float]], None]
"""``(progress, share done, values logged)``, called after every outer step."""


class OuterLoop:
    """Meta-trains a teacher, from the start or from where a killed run stood.

    Args:
        teacher: What is trained, in place; a module.
        job: Episodes and validation.
        estimator: How the outer gradient is estimated.
        settings: Learning rates and budget; exactly one of ``iterations`` and ``minutes`` must be given.
        run: Folder for states.
        tracker: Takes the curves.
        world: The processes that train together; each draws its own episodes and all step alike.
        listener: Told after every step.

    Raises:
        ValueError: No budget is given, or two.
    """

    def __init__(
        self,
        teacher: Teacher,
        job: Job,
        estimator: Estimator,
        settings: OuterConfig,
        run: RunFolder,
        tracker: Tracker,
        *,
        world: World | None = None,
        listener: Listener | None = None,
    ) -> None:
        if (settings.iterations is None) == (settings.minutes is None):
            raise ValueError("give either outer.iterations or outer.minutes")
        self.teacher, self.job, self.estimator, self.settings = teacher, job, estimator, settings
        self.run_folder, self.tracker, self.world = run, tracker, world or SingleProcess()
        self.listener = listener
        self.progress = Progress()
        groups: list[dict[str, Any]] = [
            {"params": trained, "multiple": multiple}
            for multiple, parameters in teacher.parameter_groups()
            if (trained := [p for p in parameters if p.requires_grad])
        ]
        self.parameters = [p for group in groups for p in group["params"]]
        self.optimizer = _outer_optimizer(groups, settings)
        self._saved_at = 0.0

    def resume(self) -> None:
        """Puts teacher, optimizer, estimator and counters back to where the saved state has them.

        Raises:
            CheckpointError: There is no state, or it is not this run's.
        """
        path = self.run_folder.state
        tensors, document = load_checkpoint(path, "training-state")
        teacher = {name[8:]: tensor for name, tensor in tensors.items() if name.startswith("teacher.")}
        load_into(self.teacher, teacher, path)
        moments = {name[10:]: tensor for name, tensor in tensors.items() if name.startswith("optimizer.")}
        try:
            unpack_optimizer(self.optimizer, moments, document["optimizer"])
            estimator = {name[10:]: tensor for name, tensor in tensors.items() if name.startswith("estimator.")}
            self.estimator.load_state(estimator, document["estimator"])
            self.progress = Progress(**document["progress"])
            due = int(self._share() * self.settings.validations)  # another one where the budget has changed
            self.progress.validated = min(self.progress.validated, due + 1)
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is not the state of such a run: {error}") from error

    def run(self) -> Progress:
        """Trains until the budget is spent; returns where it ended.

        Ctrl-C and SIGTERM take effect between outer steps, after a save; a second one at once, without.

        Raises:
            InterruptedRun: The user interrupted it.
            DivergedError: A loss or a gradient is not finite; the message says at which outer and inner step.
        """
        started = time.monotonic() - self.progress.seconds
        self._saved_at = time.monotonic()
        with _interrupts_held_back() as interrupt_point:
            self._validate_if_due()
            while (share := self._share()) < 1:
                try:
                    interrupt_point()
                    values = self._step(share)
                except (DivergedError, InterruptedRun):  # the teacher stands as the last whole step left it
                    self.save()
                    raise
                self.progress.seconds = time.monotonic() - started
                self.tracker.scalars(self.progress.iteration, values)
                if not self._validate_if_due() and time.monotonic() - self._saved_at > self.settings.save_every:
                    self.save()
                if self.listener is not None:
                    self.listener(self.progress, self._share(), values)
        return self.progress

    def save(self) -> None:
        """Writes the state that ``resume`` reads; process 0 does."""
        self._saved_at = time.monotonic()
        if self.world.rank:
            return
        moments, values = pack_optimizer(self.optimizer)
        tensors = {f"teacher.{name}": tensor for name, tensor in self.teacher.state_dict().items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in moments.items()}
        estimator_tensors, estimator_values = self.estimator.state()
        tensors |= {f"estimator.{name}": tensor for name, tensor in estimator_tensors.items()}
        document = {
            "kind": "training-state",
            "optimizer": values,
            "estimator": estimator_values,
            "progress": vars(self.progress),
        }
        save_checkpoint(self.run_folder.state, tensors, document)

    def _share(self) -> float:
        """Returns which share of the budget is spent."""
        if self.settings.iterations is not None:
            return self.progress.iteration / self.settings.iterations if self.settings.iterations else 1.0
        assert self.settings.minutes is not None
        return self.progress.seconds / (60 * self.settings.minutes)

    def _step(self, share: float) -> dict[str, float]:
        """Takes one outer step and returns what to log of it; the parameters stay as they are if every learner diverges."""
        start, cpu_start = time.perf_counter(), time.process_time()
        lr = self._set_learning_rates(share)
        values, good = self._estimate(share)
        if good:
            norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.clip or math.inf)
            values["meta/gradient_norm"] = float(norm)
            self.optimizer.step()
        self.progress.iteration += 1
        return {
            **values,
            "meta/lr": lr,
            "perf/seconds_per_iteration": time.perf_counter() - start,
            "perf/cpu_seconds": time.process_time() - cpu_start,
            "perf/peak_memory_mib": peak_memory_mib(),
        }

    def _set_learning_rates(self, share: float) -> float:
        """Sets each group's rate, a cosine over the run, and returns that of a group whose multiple is 1."""
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        lr = self.settings.lr * (self.settings.final_lr + (1 - self.settings.final_lr) * cosine)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["multiple"]
        return lr

    def _estimate(self, share: float) -> tuple[dict[str, float], bool]:
        """Leaves the mean gradient over the outer step's episodes in ``grad``; those that diverge are left out.

        Returns what to log, and whether there is a gradient: whether any episode of any process was good.

        Raises:
            DivergedError: Every episode diverged, and so did those of the steps before, as many as the run has patience for.
        """
        logged: list[Mapping[str, float]] = []
        sums = [torch.zeros_like(p) for p in self.parameters]
        iteration, count = self.progress.iteration, self.settings.accumulate
        first = (iteration * self.world.size + self.world.rank) * count
        error: DivergedError | None = None
        for episode in range(first, first + count):
            try:
                logged.append(self._add_gradient(sums, episode, share))
            except DivergedError as diverged:
                error = diverged
                log.info("outer step %d, left out: %s", iteration, diverged)
        good = torch.full((), float(len(logged)))
        self.world.average_([*sums, good])
        self.progress.fruitless = 0 if good else self.progress.fruitless + 1
        if self.progress.fruitless >= self.settings.patience:
            tries = f", as in the {self.progress.fruitless - 1} before" if self.progress.fruitless > 1 else ""
            raise DivergedError(f"outer step {iteration}: {error}{tries}") from error
        for parameter, total in zip(self.parameters, sums, strict=True):
            parameter.grad = total / good
        return {**_means(logged), "inner/diverged": float(count - len(logged))}, bool(good)

    def _add_gradient(self, sums: list[Tensor], episode: int, share: float) -> Mapping[str, float]:
        """Adds one episode's gradient to ``sums``, all of it or nothing, and returns what to log of it."""
        self.optimizer.zero_grad()
        trial = self.job.episode(episode, share)
        estimate = self.estimator.estimate(self.teacher, trial)
        gradients = [(total, p.grad) for total, p in zip(sums, self.parameters, strict=True) if p.grad is not None]
        if not all(torch.isfinite(gradient).all() for _, gradient in gradients):
            raise DivergedError("the meta-gradient is not finite")
        for total, gradient in gradients:
            total += gradient
        return {**estimate.values, **trial.values}

    def _validate_if_due(self) -> bool:
        """Validates and saves where a validation is due; returns whether it was.

        Progress moves last: a run that is stopped in between validates again when it is resumed.
        """
        share = self._share()
        if self.progress.validated > int(share * self.settings.validations):
            return False
        iteration = self.progress.iteration
        try:
            validation = self.job.validate()
        except DivergedError as error:
            raise DivergedError(f"validation after outer step {iteration}: {error}") from error
        self.tracker.scalars(iteration, {"real/score": validation.score, **validation.metrics})
        for tag, picture in validation.pictures.items():
            self.tracker.picture(iteration, tag, picture)
        if validation.score >= self.progress.best:  # of equals the later one, which has seen more
            if self.world.rank == 0:
                self.job.save_teacher(validation, iteration)
            self.progress.best, self.progress.best_iteration = validation.score, iteration
        self.progress.validated = int(share * self.settings.validations) + 1
        self.save()
        return True


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the mean of each tag over those rows that have it."""
    tags = dict.fromkeys(tag for row in rows for tag in row)
    return {tag: sum(found) / len(found) for tag in tags if (found := [row[tag] for row in rows if tag in row])}


def _outer_optimizer(groups: list[dict[str, Any]], settings: OuterConfig) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr)
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=settings.lr, alpha=settings.betas[1], eps=settings.eps)
    return torch.optim.Adam(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps)


def saved_iteration(run: RunFolder) -> int:
    """Returns the outer steps done by the state that a resumed run would continue from.

    Raises:
        CheckpointError: There is no state, or it is not one.
    """
    document = load_document(run.state, "training-state")
    try:
        return int(document["progress"]["iteration"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{run.state} does not say at which iteration it stands") from error


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[Callable[[], None]]:
    """Holds Ctrl-C and SIGTERM back, so that no step, row or file is left half done.

    Yields a function that raises the interrupt that came meanwhile, if one did. A second Ctrl-C is raised at once: whoever
    presses it twice does not want to wait. Signals can only be handled in the main thread; elsewhere nothing is held back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    pending: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if pending:
            raise KeyboardInterrupt
        pending.append(number)

    def interrupt_point() -> None:
        if pending:
            raise InterruptedRun

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt_point
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
