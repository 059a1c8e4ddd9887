"""The controls of a teacher, by name. A new one needs a file here, an import below and a ``@STREAMS.register`` line."""

from gtn_sl.streams import real, semi_supervised, untrained
from gtn_sl.streams.learned_schedule import META_BATCH, TRIALS, choose_schedule, learn_schedule
from gtn_sl.streams.protocol import STREAMS, Control, ControlSetting
from gtn_sl.streams.real import RealData, images_of_equal_storage, real_stream

__all__ = [
    "META_BATCH",
    "STREAMS",
    "TRIALS",
    "Control",
    "ControlSetting",
    "RealData",
    "choose_schedule",
    "images_of_equal_storage",
    "learn_schedule",
    "real",
    "real_stream",
    "semi_supervised",
    "untrained",
]
