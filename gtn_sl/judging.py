"""The full evaluation of a teacher: fresh learners of named architectures, compared with controls at equal steps."""

from __future__ import annotations

import copy
import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gtn_core.errors import DivergedError
from gtn_core.planning.plan import StepPlan
from gtn_core.seeding import Streams
from gtn_sl.config import MetaLossConfig
from gtn_sl.data import TaskData
from gtn_sl.evaluation import Evaluation, all_diverged, evaluate_stream, refuse_divergence
from gtn_sl.learners.pool import LearnerConfig
from gtn_sl.memory_use import fitting_plan
from gtn_sl.stream import Stream
from gtn_sl.streams import (
    META_BATCH,
    STREAMS,
    TRIALS,
    Control,
    ControlSetting,
    RealData,
    choose_schedule,
    images_of_equal_storage,
    learn_schedule,
    real_stream,
)
from gtn_sl.teacher_file import TeacherFile

log = logging.getLogger(__name__)

CONTROLS = ("real", "subset", "untrained")
"""The controls that a teacher is compared with by default."""


@dataclass(frozen=True)
class EvaluationPlan:
    """How a teacher is judged.

    Attributes:
        learners: Names of architectures.
        count: Fresh learners of each.
        seed: Root of the randomness; whatever it is, no learner is one of the meta-training's.
        controls: What the teacher is compared with, names in ``gtn_sl.streams.STREAMS``.
        control_iterations: Outer steps of meta-learning the real-data control's schedule.
        curve_images: Test images for the accuracy after every inner step; the final accuracy uses all.
        device: Device to compute on.
    """

    learners: Sequence[str]
    count: int = 20
    seed: int = 0
    controls: Sequence[str] = CONTROLS
    control_iterations: int = 60
    curve_images: int = 1000
    device: str = "cpu"


def usual_controls(file: TeacherFile, data: TaskData) -> tuple[str, ...]:
    """Returns ``CONTROLS``, without the subset if it would be all training images, which is the real-data control."""
    is_whole = images_of_equal_storage(file.path.stat().st_size, data) == len(data.train)
    return tuple(name for name in CONTROLS if not (name == "subset" and is_whole))


Advance = Callable[[str], object]
"""Called after each unit of work, with the name of what it belongs to."""


def _unseen(what: str) -> None:
    """Shows no progress."""


def units_of_work(plan: EvaluationPlan) -> int:
    """Returns how many times ``judge`` calls ``advance``."""
    schedules = plan.control_iterations if _learns_schedule(plan) else 0
    controls = sum(_units_of_control(STREAMS[name], plan) for name in plan.controls)
    return len(plan.learners) * (plan.count + schedules + controls)


def _units_of_control(control: type[Control], plan: EvaluationPlan) -> int:
    """Returns the number of learners that a control trains: those that try the two schedules, and those that are judged."""
    return plan.count + (2 * TRIALS if control.learns_schedule and plan.control_iterations else 0)


def judge(file: TeacherFile, data: TaskData, plan: EvaluationPlan, advance: Advance = _unseen) -> list[Evaluation]:
    """Trains fresh learners on a teacher and on the controls, and tests them on the test split.

    The test split is only read to report figures: here, by ``gtn_sl.claims``, by final trainings (``gtn_sl.nas``) and
    by ``gtn-cli train-learner``; nothing is chosen by it. Every stream trains the same learners: same seeds, same
    initial weights.

    Args:
        file: The teacher.
        data: The teacher's task.
        plan: How it is judged.
        advance: Called after each unit of work.

    Returns:
        For each learner the teacher's evaluation, then those of the controls.

    Raises:
        DivergedError: Every learner diverges on the teacher. A control that diverges ends nothing: its learners count as
            guessing.
    """
    judging = _Judging(file, data, plan, advance)
    teachers = [judging.of_teacher(name) for name in plan.learners]
    refuse_divergence(teachers)  # before the controls, which take longer
    results = []
    for learner, teacher in zip(plan.learners, teachers, strict=True):
        setting = judging.setting(learner)
        results += [teacher, *(judging.of_control(STREAMS[name](), setting) for name in plan.controls)]
    return results


@dataclass(frozen=True)
class _Judging:
    """One call of ``judge``, whose arguments these are."""

    file: TeacherFile
    data: TaskData
    plan: EvaluationPlan
    advance: Advance

    @property
    def streams(self) -> Streams:
        """Source of all randomness."""
        return Streams(self.plan.seed)

    def of_teacher(self, learner: str) -> Evaluation:
        """Tests learners of one architecture that the teacher has trained."""
        return self._tested("teacher", copy.deepcopy(self.file.teacher), learner)

    def of_control(self, control: Control, setting: ControlSetting) -> Evaluation:
        """Tests the same learners on a control; if its stream diverges as it is made, all of them count as guessing."""
        name, learner, seen = control.title(setting), setting.learner, self.plan.curve_images
        try:
            stream = control.make(setting)
        except DivergedError as error:
            log.warning("%s cannot be made for %s learners, which count as guessing: %s", name, learner, error)
            for _ in range(_units_of_control(type(control), self.plan)):
                self.advance(name)
            steps, count = self.file.teacher.steps, self.plan.count
            return all_diverged(name, learner, self.data, self.data.test, count, steps, seen, str(error))
        if isinstance(stream, RealData):
            choosing = functools.partial(self.advance, f"choosing the schedule of {name}")
            choose_schedule(
                stream, setting.schedules, learner, setting.streams, plan=setting.plan, after_learner=choosing
            )
        return self._tested(name, stream, learner)

    def _tested(self, name: str, stream: Stream, learner: str) -> Evaluation:
        result = evaluate_stream(
            name,
            stream.to(self.plan.device),
            learner,
            self.data,
            self.data.test,
            [self.streams.seed("evaluation-learner", index) for index in range(self.plan.count)],
            plan=step_plan(self.file),
            curve_images=self.plan.curve_images,
            after_learner=functools.partial(self.advance, name),
        )
        if result.diverged:
            lost = f"{result.diverged} of {result.n} {learner} learners"
            log.warning("%s diverged on %s and count as guessing: %s", lost, name, result.failure)
        return result

    def setting(self, learner: str) -> ControlSetting:
        """Returns what the controls of a learner are made for, with the schedule of real data meta-learned."""
        file, plan = self.file, self.plan
        initial, learned = (file.config.inner.fresh_schedule().to(plan.device) for _ in range(2))
        setting = ControlSetting(file, self.data, learner, [initial], self.streams, step_plan(file))
        if not (_learns_schedule(plan) and plan.control_iterations):
            return setting
        setting = dataclasses.replace(setting, schedules=[learned, initial])
        learn_schedule(
            real_stream(setting, self.data.train),
            learner,
            self.streams,
            iterations=plan.control_iterations,
            plan=control_plan(file, learner, plan.device),
            after_iteration=functools.partial(self.advance, "meta-learning the real-data control's schedule"),
        )
        return setting


def step_plan(file: TeacherFile) -> StepPlan:
    """Returns a plan for any device and memory: the layout of the teacher's own meta-training, in float32."""
    return StepPlan(layout=(file.config.compute.plan or StepPlan()).layout)


def control_plan(file: TeacherFile, learner: str, device: str) -> StepPlan:
    """Returns the plan for meta-learning a control's schedule, with as many graphs kept as the memory holds."""
    config = dataclasses.replace(
        file.config,
        learner=LearnerConfig(architecture=learner),
        meta_loss=MetaLossConfig(batch_size=META_BATCH),
        compute=dataclasses.replace(file.config.compute, device=device, plan=None),
    )
    return fitting_plan(config, copy.deepcopy(file.teacher).to(device), step_plan(file))


def _learns_schedule(plan: EvaluationPlan) -> bool:
    return any(STREAMS[name].learns_schedule for name in plan.controls)
