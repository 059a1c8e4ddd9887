"""The outer loop: draw a learner, estimate the teacher's gradient, step, log, validate, save. It knows no task.

With several processes, each runs this loop. They decide alike because they decide by the same numbers: what only one of
them knows, such as the time or an interrupt, is shared with all first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gtn_core.annealing import half_cosine
from gtn_core.distributed import LostRankError, SingleProcess, World, first, keep_in_step
from gtn_core.errors import DivergedError
from gtn_core.estimators import Estimator, Teacher
from gtn_core.interrupts import InterruptedRun, interrupts_held_back
from gtn_core.memory.allocation import peak_memory_mib
from gtn_core.outer_config import OuterConfig
from gtn_core.outer_job import Job
from gtn_core.progress import Progress
from gtn_core.run_folder import RunFolder
from gtn_core.state_keeper import Standing, StateKeeper
from gtn_core.step_gradient import StepGradient, StepReport, gradient_norm
from gtn_core.tracking import Tracker
from gtn_core.training_state import load_state, save_state

Listener = Callable[[Progress, float, Mapping[str, float]], None]
"""``(progress, share done, logged values)``, called after every outer step."""


class OuterLoop:
    """Meta-trains a teacher, from the start or from the saved state of a run.

    Args:
        teacher: The teacher, a module; trained in place.
        job: Episodes and validation.
        estimator: How the outer gradient is estimated.
        settings: Learning rates and budget; exactly one of ``iterations`` and ``minutes`` must be given.
        run: Run folder for states.
        tracker: Receives the curves.
        world: The processes that train together; see ``StepGradient`` for how they share a step. All take the same
            steps.
        listener: Called after every step.

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
            raise ValueError("set either outer.iterations or outer.minutes")
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
        self.optimizer = outer_optimizer(groups, settings)
        self.gradient = StepGradient(teacher, self.parameters, job, estimator, self.world, settings.accumulate)
        self._started = 0.0
        self._keeper = StateKeeper(run, tracker, self.world, self._standing, self._write)

    def resume(self) -> None:
        """Restores teacher, optimizer, estimator and counters from the saved state.

        Raises:
            CheckpointError: There is no state, or it belongs to another run.
        """
        self.progress = load_state(self.world, self.run_folder, self.teacher, self.optimizer, self.estimator)
        self.progress.validated = min(self.progress.validated, self._validations_due())  # the budget may have changed

    def run(self) -> Progress:
        """Trains until the budget is spent; returns the progress at the end.

        Ctrl-C and SIGTERM take effect between outer steps, or between the learners of a validation, after a save. A
        second one takes effect at once, without a save, except with several processes, all of which stop if one of
        them is interrupted. SIGTERM also saves the last whole step at once, since its sender may not wait for the
        current one to end.

        Raises:
            InterruptedRun: The user interrupted it.
            DivergedError: A loss or a gradient is not finite; the message says at which outer and inner step.
            LostRankError: Another process has gone; the state has been saved, unless no process was left to do so.
        """
        self._started = time.monotonic() - self.progress.seconds
        self._keeper.begin()
        patient = self.world.size > 1
        with interrupts_held_back(patient=patient, told_to_end=self._keeper.save_whole_step) as interrupted:
            try:
                self._train(interrupted)
            except InterruptedRun:  # the teacher is as the last whole step left it
                self.save()
                raise
            except DivergedError:  # likewise; before the first validation, a resumed run would fail again at once
                if self.progress.validated:
                    self.save()
                raise
            except LostRankError:  # a launcher may be about to end this process, too
                self._keeper.save_for_the_lost()
                raise
        return self.progress

    def _train(self, interrupted: Callable[[], bool]) -> None:
        def stop_if_interrupted() -> None:
            if any(self.world.gather(interrupted())):
                raise InterruptedRun

        self._validate_if_due(stop_if_interrupted)
        while (share := self.settings.spent(self.progress)) < 1:
            stop_if_interrupted()
            values = self._step(share)
            self.tracker.scalars(self.progress.iteration, values)
            if (
                not self._validate_if_due(stop_if_interrupted)
                and self._keeper.seconds_since_saved() > self.settings.save_every
            ):
                self.save()
            if self.listener is not None:
                self.listener(self.progress, self.settings.spent(self.progress), values)
        stop_if_interrupted()  # in the last step; another outer loop may follow this one

    def save(self) -> None:
        """Writes the state that ``resume`` reads, on process 0."""
        self._keeper.save()

    def _write(self, standing: Standing) -> None:
        save_state(self.run_folder, self.teacher, self.optimizer, *standing)

    def _standing(self) -> Standing:
        return self.estimator.state(), dict(vars(self.progress))

    def _state_tensors(self) -> list[Tensor]:
        moments = [v for slot in self.optimizer.state.values() for v in slot.values() if isinstance(v, Tensor)]
        return [*self.teacher.state_dict().values(), *self.estimator.state()[0].values(), *moments]

    def _step(self, share: float) -> dict[str, float]:
        """Takes one outer step and returns the values to log; the parameters are unchanged if every learner diverges."""
        start = time.perf_counter()
        lr = self._set_learning_rates(share)
        gradient, progress = self.gradient, self.progress
        before = self.estimator.state()
        try:
            report = gradient.leave(progress.episodes, share, lambda: time.monotonic() - self._started)
        except LostRankError:
            self.estimator.load_state(*before)  # it may have advanced already
            raise
        with self._keeper.changing():
            progress.seconds = report.seconds
            self._refuse_fruitlessness(report)
            if report.good:
                report.values["meta/gradient_norm"] = self._clipped_norm()
                self.optimizer.step()
            progress.episodes += report.used
            progress.iteration += 1
        return {
            **report.values,
            "meta/lr": lr,
            "perf/seconds_per_iteration": time.perf_counter() - start,
            "perf/peak_memory_mib": peak_memory_mib(),
        }

    def _clipped_norm(self) -> float:
        """Clips the meta-gradient if ``clip`` is set, and returns its norm from before that."""
        clip = self.settings.clip
        if clip is None:
            return float(gradient_norm(p.grad for p in self.parameters if p.grad is not None))
        return float(nn.utils.clip_grad_norm_(self.parameters, clip))

    def _set_learning_rates(self, share: float) -> float:
        """Sets each group's learning rate, a cosine over the run, and returns that of a group whose multiple is 1."""
        lr = self.settings.lr * (self.settings.final_lr + (1 - self.settings.final_lr) * half_cosine(share))
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["multiple"]
        return lr

    def _refuse_fruitlessness(self, report: StepReport) -> None:
        """Counts the steps in a row without result, and raises ``DivergedError`` if there are ``patience`` of them."""
        self.progress.fruitless = 0 if report.good else self.progress.fruitless + 1
        if self.progress.fruitless >= self.settings.patience:
            tries = f", as in the previous {self.progress.fruitless - 1}" if self.progress.fruitless > 1 else ""
            error = DivergedError(f"outer step {self.progress.iteration}: {report.error}{tries}")
            error.rank = 0
            raise error

    def _validate_if_due(self, before_learner: Callable[[], None]) -> bool:
        """Validates and saves if a validation is due; returns whether it was.

        Progress is updated last: a run that is stopped in between, by ``before_learner`` for one, validates again when it is
        resumed.
        """
        due = self._validations_due()
        if self.progress.validated >= due:
            return False
        iteration = self.progress.iteration
        keep_in_step(self.world, self._state_tensors())
        try:
            validation = self.job.validate(before_learner)
        except DivergedError as error:
            error.args = (f"validation after outer step {iteration}: {error}",)
            raise
        self.tracker.scalars(iteration, {"real/score": validation.score, **validation.metrics})
        for tag, picture in validation.pictures.items():
            self.tracker.picture(iteration, tag, picture)
        if validation.score >= self.progress.best:  # of equal scores the later one, which has seen more
            first(self.world, lambda: self.job.save_teacher(validation, iteration))
            self.progress.best, self.progress.best_iteration = validation.score, iteration
        self.progress.validated = due
        self.save()
        return True

    def _validations_due(self) -> int:
        """Returns how many validations are due by now, including the one before the first step."""
        iterations, validations = self.settings.iterations, self.settings.validations
        if iterations:  # in integers: a product of fractions may fall short of the next integer
            return self.progress.iteration * validations // iterations + 1
        return int(self.settings.spent(self.progress) * validations) + 1


def outer_optimizer(groups: list[dict[str, Any]], settings: OuterConfig) -> torch.optim.Optimizer:
    """Returns the outer optimizer for parameter groups, in the form of ``torch.optim``."""
    fused = {"fused": True} if groups[0]["params"][0].is_cuda else {}  # one kernel for all parameters; RMSProp has none
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, **fused)
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=settings.lr, alpha=settings.betas[1], eps=settings.eps)
    return torch.optim.Adam(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps, **fused)
