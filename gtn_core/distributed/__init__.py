"""The processes that train one teacher together: their interface, how they are found, and what they do collectively.

A new engine is one file here with a ``World`` that registers itself in ``WORLDS``, and its import below.
"""

from gtn_core.distributed import horovod, torchrun  # noqa: F401 (they register their worlds)
from gtn_core.distributed.agreement import (
    everywhere,
    first,
    first_before_others,
    first_on_each_machine,
    gathered,
    share_out,
)
from gtn_core.distributed.in_step import keep_in_step
from gtn_core.distributed.launch import WORLDS, join
from gtn_core.distributed.split_trial import SplitTrial
from gtn_core.distributed.world import LostRankError, SingleProcess, World

__all__ = [
    "WORLDS",
    "LostRankError",
    "SingleProcess",
    "SplitTrial",
    "World",
    "everywhere",
    "first",
    "first_before_others",
    "first_on_each_machine",
    "gathered",
    "join",
    "keep_in_step",
    "share_out",
]
