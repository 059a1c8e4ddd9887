"""Ctrl-C and SIGTERM, as a command hears them. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_INTERRUPTED = 130


@contextlib.contextmanager
def ctrl_c_ends_imports() -> Iterator[None]:
    """Within the block, until ``work_begins``, Ctrl-C in the middle of an import ends the process; see ``interrupt``."""
    global _working
    _working = False
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) != _USUAL:
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _USUAL)


def work_begins() -> None:
    """Says that from now on something may be half done: an interrupt is raised wherever it comes."""
    global _working
    _working = True


def interrupt_on_sigterm() -> None:
    """Makes SIGTERM, which a scheduler sends when the time is up, the same as Ctrl-C."""
    signal.signal(signal.SIGTERM, interrupt)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt, but ends the process in the middle of an import before any work has begun.

    Libraries take an interrupt of their own import for a part that is missing, and go on, or abort.
    """
    while frame is not None and not _working:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, b"interrupted\n")
            os._exit(EXIT_INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


_USUAL = signal.default_int_handler
_working = False
