"""Ctrl-C and SIGTERM, held back until the state can be saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class InterruptedRun(KeyboardInterrupt):
    """The user's Ctrl-C or a SIGTERM, taken between two outer steps: the state has been saved."""


@contextlib.contextmanager
def interrupts_held_back(
    *, patient: bool = False, told_to_end: Callable[[], None] | None = None
) -> Iterator[Callable[[], bool]]:
    """Holds Ctrl-C and SIGTERM back, so that no step, row or file is left half done.

    Signals can only be handled in the main thread; elsewhere nothing is held back.

    Args:
        patient: Whether a second one is held back, too: a launcher of several processes passes one on and sends its
            own. Else it is raised at once: whoever presses Ctrl-C twice does not want to wait.
        told_to_end: Called at once, in the middle of whatever is under way, by the first SIGTERM: who sends it may send
            SIGKILL before that has ended, as ``horovodrun`` does after five seconds.

    Yields:
        Says whether one came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pending: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if pending and not patient:
            raise KeyboardInterrupt
        new = number not in pending
        pending.append(number)  # first, as another may come meanwhile
        if number == signal.SIGTERM and new and told_to_end is not None:
            told_to_end()

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(pending)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
