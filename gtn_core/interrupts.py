"""Holds Ctrl-C and SIGTERM back until the state can be saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class InterruptedRun(KeyboardInterrupt):
    """The user's Ctrl-C or a SIGTERM, handled between outer steps or between the learners of a validation."""


@contextlib.contextmanager
def interrupts_held_back(
    *, patient: bool = False, told_to_end: Callable[[], None] | None = None
) -> Iterator[Callable[[], bool]]:
    """Holds Ctrl-C and SIGTERM back, so that no step, row or file is left half done.

    Signals can only be handled in the main thread; in any other, nothing is held back.

    Args:
        patient: Whether a second signal is held back, too: a launcher of several processes passes one on and sends its
            own. Otherwise it raises ``KeyboardInterrupt`` at once, since whoever presses Ctrl-C twice does not want to
            wait.
        told_to_end: Called by the first SIGTERM, at once and in the middle of whatever is running: its sender may send
            SIGKILL before that has ended, as ``horovodrun`` does after five seconds.

    Yields:
        A function that returns whether a signal has arrived.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pending: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if pending and not patient:
            raise KeyboardInterrupt
        new = number not in pending
        pending.append(number)  # first, since another may arrive meanwhile
        if number == signal.SIGTERM and new and told_to_end is not None:
            told_to_end()

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(pending)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
