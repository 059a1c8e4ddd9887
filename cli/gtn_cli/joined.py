"""Commands that run on several processes: how they join, and which of them reports errors."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from gtn_core.errors import GTNError

if TYPE_CHECKING:
    from gtn_core.distributed import LostRankError, World

log = logging.getLogger("gtn_cli")

T = TypeVar("T")


@contextlib.contextmanager
def joined(name: str) -> Iterator[World]:
    """Joins the processes that a launcher has started, for the duration of a command.

    A failure that all ranks know of is reported by the rank where it happened; the others exit silently with the same
    code. The loss of another process is reported by every rank, even if the launcher terminates this one for the same
    reason.

    Args:
        name: See ``gtn_core.distributed.join``.

    Yields:
        The world of all processes.

    Raises:
        LostRankError: Another process is gone.
        SystemExit: Another rank reports the failure.
    """
    from gtn_core.distributed import join

    world = join(name)
    if world.size > 1:
        log.info("process %d of %d (--world %s)", world.rank, world.size, name)
    try:
        yield world
    except BaseException as error:
        lost = _lost_rank(error)
        if lost is not None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent by the launcher, which waits a little for this message
            raise lost from None
        if isinstance(error, GTNError) and error.rank is not None and error.rank != world.rank:
            raise SystemExit(error.exit_code) from None
        raise
    finally:
        world.close()


def together(name: str, work: Callable[[World], T]) -> T:
    """Runs ``work`` on all processes; under an elastic launcher, runs it again when a process is lost or added.

    Args:
        name: See ``gtn_core.distributed.join``.
        work: Takes the world. When run again, it must resume from what was saved.

    Raises:
        LostRankError: Another process is gone, and the launcher is not elastic.
    """
    from gtn_core.distributed import LostRankError

    with joined(name) as world:
        while True:
            try:
                return work(world)
            except LostRankError as error:
                if not world.meet_again():
                    raise
                log.warning("%s; continuing as process %d of %d", error, world.rank, world.size)


def _lost_rank(error: BaseException | None) -> LostRankError | None:
    """Returns the error that another process is gone, even if an interrupt arrived while it was propagating."""
    from gtn_core.distributed import LostRankError

    while error is not None and not isinstance(error, LostRankError):
        error = error.__context__
    return error
