"""How good a stream of batches is: fresh learners are trained on it alone and tested on real data."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gtn_core.errors import DivergedError
from gtn_core.learner import Learner, Statistics
from gtn_core.memory.allocation import is_out_of_memory, release_memory
from gtn_core.planning.plan import StepPlan
from gtn_core.unroll import InnerLoop, Trajectory, run
from gtn_sl.data import Split, TaskData
from gtn_sl.learners import architecture
from gtn_sl.losses import inner_loss
from gtn_sl.stream import Stream

log = logging.getLogger(__name__)

AT_A_TIME = 1000
"""Real images classified at a time; fewer if memory is short."""


@dataclass(frozen=True)
class Evaluation:
    """Test accuracies of fresh learners.

    Attributes:
        name: Name of the stream they were trained on.
        architecture: Their architecture.
        final: Accuracy after the last step on the whole split, shape ``(n,)``.
        curve_steps: Numbers of steps after which the accuracy curve was taken.
        curves: Accuracy after these, shape ``(n, len(curve_steps))``, on the first ``curve_images`` images of the
            split.
        curve_images: Number of images used for the curves.
        diverged: Learners whose loss was not finite; they count with the accuracy of a constant guess.
        failure: Why the first of them diverged.
    """

    name: str
    architecture: str
    final: NDArray[np.float64]
    curve_steps: list[int]
    curves: NDArray[np.float64]
    curve_images: int
    diverged: int = 0
    failure: str = ""

    @property
    def n(self) -> int:
        """Number of learners."""
        return len(self.final)

    @property
    def mean(self) -> float:
        """Mean final accuracy."""
        return float(self.final.mean())

    @property
    def spread(self) -> float:
        """Sample standard deviation of the final accuracy over the learners; 0 for a single one."""
        return float(self.final.std(ddof=1)) if self.n > 1 else 0.0

    @property
    def minimum(self) -> float:
        """Final accuracy of the worst learner."""
        return float(self.final.min())

    def to_json(self) -> dict[str, Any]:
        """Returns everything as JSON values."""
        arrays = {"final": self.final.tolist(), "curves": self.curves.tolist()}
        figures = {"n": self.n, "mean": self.mean, "spread": self.spread, "minimum": self.minimum}
        return {**dataclasses.asdict(self), **arrays, **figures}


def evaluate_stream(
    name: str,
    stream: Stream,
    learner_name: str,
    data: TaskData,
    split: Split,
    seeds: Sequence[int],
    *,
    plan: StepPlan | None = None,
    curve_images: int = 0,
    after_learner: Callable[[], object] | None = None,
) -> Evaluation:
    """Trains one fresh learner per seed on a stream and tests it; one that diverges counts as a guess, not an error.

    Args:
        name: Name of the result.
        stream: The stream that the learners are trained on.
        learner_name: A name in ``gtn_sl.learners``; widths are those that it gives, not random ones.
        data: Gives normalisation, image shape and classes.
        split: Real images to test on.
        seeds: One per learner.
        plan: How steps are computed.
        curve_images: Number of images to measure accuracy on after every step; 0 for no curve.
        after_learner: Called after each learner, e.g. to move a progress bar.
    """
    plan, device = plan or StepPlan(), next(stream.parameters()).device
    split = split.to(device)
    few = Split(split.images[:curve_images], split.labels[:curve_images])
    family, guess = architecture(learner_name), 1 / data.task.classes
    final, curves, failures = [], [], []
    steps = list(range(1, stream.steps + 1)) if curve_images else []
    for seed in seeds:
        learner, phi = family.fresh(data.task, seed, plan.layout)
        curve: list[float] = []

        def test(
            step: int, phi: Tensor, statistics: Statistics, learner: Learner = learner, curve: list[float] = curve
        ) -> None:
            if curve_images:
                try:
                    curve.append(accuracy(learner, phi, statistics, data, few))
                except DivergedError:  # the next loss or the final accuracy will report it
                    curve.append(guess)

        try:
            trail = train(stream.for_learner(seed), learner, phi.to(device), plan, after_step=test)
            final.append(accuracy(learner, trail.final, trail.statistics[-1], data, split))
        except DivergedError as error:
            failures.append(str(error))
            final.append(guess)
        curves.append(curve + [guess] * (len(steps) - len(curve)))
        if after_learner is not None:
            after_learner()
    lost, why = len(failures), failures[0] if failures else ""
    return Evaluation(name, learner_name, np.array(final), steps, np.array(curves), len(few.labels), lost, why)


def all_diverged(
    name: str, learner_name: str, data: TaskData, split: Split, count: int, steps: int, curve_images: int, failure: str
) -> Evaluation:
    """Returns the evaluation of a stream that could not be made, as of learners that all diverged.

    Args:
        name: Name of the result.
        learner_name: Name of the learners' architecture.
        data: Gives the number of classes.
        split: Real images that they would have been tested on.
        count: Number of learners.
        steps: Number of steps that they would have taken.
        curve_images: See ``evaluate_stream``.
        failure: Why there is no stream.
    """
    guess, curve_steps = 1 / data.task.classes, list(range(1, steps + 1)) if curve_images else []
    curves = np.full((count, len(curve_steps)), guess)
    images = min(curve_images, len(split))
    return Evaluation(name, learner_name, np.full(count, guess), curve_steps, curves, images, count, failure)


def refuse_divergence(results: Sequence[Evaluation]) -> None:
    """Raises DivergedError if every learner of all these results diverged."""
    if results and all(result.diverged == result.n for result in results):
        names = ", ".join(result.architecture for result in results)
        raise DivergedError(f"every learner ({names}) diverged on the {results[0].name}: {results[0].failure}")


def train(
    lesson: Stream,
    learner: Learner,
    phi: Tensor,
    plan: StepPlan,
    *,
    steps: int | None = None,
    after_step: Callable[[int, Tensor, Statistics], None] | None = None,
) -> Trajectory:
    """Trains a learner on a stream, starting at its first step.

    Args:
        lesson: The stream as this learner sees it.
        learner: The learner to train.
        phi: Its initial parameters, shape ``(D,)``, on the stream's device.
        plan: How steps are computed.
        steps: Number of steps, at most the stream's; ``None`` for all.
        after_step: See ``gtn_core.unroll.run``.

    Raises:
        DivergedError: A loss is not finite.
    """
    with torch.no_grad():
        lr, momentum = (values[:steps] for values in lesson.schedule())
    loss = inner_loss(learner, plan, closed_loop=lesson.closed_loop)
    loop = InnerLoop(loss, lesson.optimizer.bind(learner, phi), phi, lesson.batch_for, lr, momentum)
    return run(loop, after_step=after_step)


def accuracy(learner: Learner, phi: Tensor, statistics: Statistics, data: TaskData, split: Split) -> float:
    """Returns the share of a split that a learner classifies correctly; see ``accuracy_of``."""
    return accuracy_of(lambda images: learner.apply(phi, data.normalise(images), statistics)[0], split)


def accuracy_of(classify: Callable[[Tensor], Tensor], split: Split) -> float:
    """Returns the share of a split that is classified correctly.

    Args:
        classify: Maps pictures, bytes ``(N, C, H, W)``, to logits ``(N, classes)``.
        split: Real images.

    Raises:
        DivergedError: Logits are NaN, e.g. after a last step that no later loss has checked.
    """
    right, done, count = 0, 0, min(AT_A_TIME, len(split))
    while done < len(split):
        part = slice(done, done + count)
        try:
            with torch.no_grad():
                logits = classify(split.images[part])
                if logits.isnan().any():
                    raise DivergedError("the learner's outputs are NaN")
                right += int((logits.argmax(dim=1) == split.labels[part]).sum())
            done += count
            continue
        except Exception as error:
            if count == 1 or not is_out_of_memory(error):
                raise
        count //= 2
        log.warning("out of memory; classifying the remaining images %d at a time", count)
        release_memory()
    return right / len(split)
