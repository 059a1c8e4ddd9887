"""The controls of a teacher: streams that train the same learners for as many steps, and how each is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from gtn_core.inner_schedule import Schedule
from gtn_core.planning.plan import StepPlan
from gtn_core.registry import Registry
from gtn_core.seeding import Streams
from gtn_sl.data import TaskData
from gtn_sl.stream import Stream
from gtn_sl.teacher_file import TeacherFile


@dataclass(frozen=True)
class ControlSetting:
    """What a control is made for.

    Attributes:
        file: The teacher.
        data: The teacher's task.
        learner: Architecture that will be trained.
        schedules: Learning rates and momenta that a real stream chooses from (``choose_schedule``): those meta-learned on
            all real data for this learner, and the initial ones.
        streams: Source of randomness.
        plan: How steps are computed.
    """

    file: TeacherFile
    data: TaskData
    learner: str
    schedules: Sequence[Schedule]
    streams: Streams
    plan: StepPlan

    @property
    def augmentation(self) -> str:
        """Augmentation of real images, as in the teacher's own meta-training."""
        return self.file.config.meta_loss.augmentation


class Control(Protocol):
    """A kind of stream that a teacher is compared with."""

    learns_schedule: ClassVar[bool] = True
    """Whether it chooses from the schedules."""

    def title(self, setting: ControlSetting) -> str:
        """Returns the control's name for tables."""

    def make(self, setting: ControlSetting) -> Stream:
        """Returns the control's stream.

        Raises:
            DivergedError: A learner that the stream needs diverges.
        """


STREAMS: Registry[type[Control]] = Registry("control")
