"""Handling of Ctrl-C and SIGTERM. Does not import torch."""

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
    """Makes Ctrl-C during an import end the process within the block, until ``work_begins``; see ``interrupt``."""
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
    """Declares that work has started, so that an interrupt raises KeyboardInterrupt wherever it arrives."""
    global _working
    _working = True


def interrupt_on_sigterm() -> None:
    """Handles SIGTERM, which a scheduler sends when the time is up, like Ctrl-C."""
    signal.signal(signal.SIGTERM, interrupt)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt, or ends the process if an import is running and no work has begun.

    Some libraries mistake an interrupt during their import for a missing dependency, and continue or abort.
    """
    while frame is not None and not _working:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, b"interrupted\n")
            os._exit(EXIT_INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


_USUAL = signal.default_int_handler
_working = False
