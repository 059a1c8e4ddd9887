"""Who is told how much of some work is done, e.g. a progress bar."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[str, int, int], object]
"""Called with what is being done, e.g. a ranker's name, how many units of it are done, and how many there are."""


def silent(what: str, done: int, total: int) -> None:
    """A ``Listener`` that does nothing."""


def counting(listener: Listener, what: str, total: int) -> Callable[..., None]:
    """Tells a listener that some work begins, and returns a function to call after each unit of it."""
    done = 0

    def after_one(*_: object) -> None:
        nonlocal done
        done += 1
        listener(what, done, total)

    listener(what, done, total)
    return after_one
