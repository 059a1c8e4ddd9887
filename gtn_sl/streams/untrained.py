"""The control without meta-training: a teacher of the same form with its initial parameters."""

from __future__ import annotations

from typing import ClassVar

from gtn_sl.stream import Stream
from gtn_sl.streams.protocol import STREAMS, Control, ControlSetting
from gtn_sl.teacher import seeded_teacher


@STREAMS.register("untrained")
class UntrainedControl(Control):
    """The same teacher before meta-training, without a warm start."""

    learns_schedule: ClassVar[bool] = False

    def title(self, setting: ControlSetting) -> str:
        """See ``Control.title``."""
        return "untrained teacher"

    def make(self, setting: ControlSetting) -> Stream:
        """See ``Control.make``."""
        seed = setting.streams.seed("untrained-teacher")
        return seeded_teacher(setting.file.config, setting.data.task, seed)
