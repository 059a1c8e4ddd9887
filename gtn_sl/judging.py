"""The whole evaluation of a teacher: fresh learners of named architectures, beside the controls at equal steps."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gtn_core.errors import DivergedError
from gtn_core.inner_optim import Schedule
from gtn_core.plan import StepPlan
from gtn_core.seeding import Streams
from gtn_sl.controls import RealData, images_of_equal_storage, learn_schedule
from gtn_sl.data import TaskData
from gtn_sl.evaluation import Evaluation, evaluate_stream
from gtn_sl.stream import Stream
from gtn_sl.teacher import TeacherFile, seeded_teacher

log = logging.getLogger(__name__)

Control = Literal["real data", "random subset", "untrained teacher"]
CONTROLS: tuple[Control, ...] = ("real data", "random subset", "untrained teacher")


@dataclass(frozen=True)
class EvaluationPlan:
    """How a teacher is judged.

    Attributes:
        learners: Architectures, by name.
        count: Fresh learners of each.
        seed: Root of the randomness; the learners are none of the meta-training's whatever it is.
        controls: What stands beside the teacher.
        control_iterations: Outer steps that the real-data control's schedule is meta-learned for.
        curve_images: Test images that the accuracy after every inner step is taken on; the final one uses all.
        device: Where.
    """

    learners: Sequence[str]
    count: int = 20
    seed: int = 0
    controls: Sequence[Control] = CONTROLS
    control_iterations: int = 60
    curve_images: int = 1000
    device: str = "cpu"


Advance = Callable[[str], object]
"""Told of each unit of work that is done, with the name of what it belongs to."""


def _unseen(what: str) -> None:
    """Shows no progress."""


def units_of_work(plan: EvaluationPlan) -> int:
    """Returns how often ``judge`` will call ``advance``."""
    schedules = plan.control_iterations if {"real data", "random subset"} & set(plan.controls) else 0
    return len(plan.learners) * (plan.count * (1 + len(plan.controls)) + schedules)


def judge(file: TeacherFile, data: TaskData, plan: EvaluationPlan, advance: Advance = _unseen) -> list[Evaluation]:
    """Trains fresh learners on a teacher and on the controls, and tests them on the test split.

    The test split is read here and nowhere else. Every stream trains the same learners: same seeds, same initial weights.

    Args:
        file: The teacher.
        data: Its task.
        plan: How it is judged.
        advance: Progress.

    Returns:
        For each learner the teacher's evaluation, then those of the controls.
    """
    streams = Streams(plan.seed)
    seeds = [streams.seed("evaluation-learner", index) for index in range(plan.count)]
    results = []
    for learner in plan.learners:
        for name, stream in _streams(file, data, plan, learner, streams, advance).items():
            try:
                result = evaluate_stream(
                    name,
                    stream.to(plan.device),
                    learner,
                    data,
                    data.test,
                    seeds,
                    plan=step_plan(file),
                    curve_images=plan.curve_images,
                    after_learner=functools.partial(advance, name),
                )
            except DivergedError as error:
                if stream is file.teacher:
                    raise DivergedError(f"a {learner} learner on the teacher: {error}") from error
                log.warning("%s diverged with %s and is left out: %s", name, learner, error)
                continue
            results.append(result)
    return results


def step_plan(file: TeacherFile) -> StepPlan:
    """Returns how the teacher's own meta-training computed its steps, in float32."""
    return dataclasses.replace(file.config.compute.plan or StepPlan(), precision="float32")


def _streams(
    file: TeacherFile, data: TaskData, plan: EvaluationPlan, learner: str, streams: Streams, advance: Advance
) -> dict[str, Stream]:
    """Returns the teacher and its controls by name."""
    inner = file.config.inner
    chosen: dict[str, Stream] = {"teacher": file.teacher}
    if {"real data", "random subset"} & set(plan.controls):
        schedule = Schedule(inner.steps, inner.lr, inner.momentum, max_momentum=inner.max_momentum).to(plan.device)

        def real(subset: int | None) -> RealData:
            return RealData(
                data, data.train, inner.steps, inner.batch_size, file.teacher.optimizer, schedule, subset=subset
            )

        learn_schedule(
            real(None),
            learner,
            streams,
            iterations=plan.control_iterations,
            plan=step_plan(file),
            after_iteration=functools.partial(advance, "meta-learning the real-data control's schedule"),
        )
        if "real data" in plan.controls:
            chosen["real data"] = real(None)
        if "random subset" in plan.controls:
            count = images_of_equal_storage(file.path.stat().st_size, data)
            chosen[f"random subset of {count} real images"] = real(count)
    if "untrained teacher" in plan.controls:
        chosen["untrained teacher"] = seeded_teacher(file.config, data.task, streams.seed("untrained-teacher"))
    return chosen
