"""A command that several processes run together: how they find each other, and which of them speaks."""

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
    """Joins the processes that a launcher has started, for the length of a command.

    A failure that all know of is told by the process where it happened; the others end silently with the same exit code.
    That another process has gone is told by each, also where a launcher ends this one for the same reason meanwhile.

    Args:
        name: See ``gtn_core.distributed.join``.
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
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the launcher's: it waits a little for what is said now
            raise lost from None
        if isinstance(error, GTNError) and error.rank is not None and error.rank != world.rank:
            raise SystemExit(error.exit_code) from None
        raise
    finally:
        world.close()


def together(name: str, work: Callable[[World], T]) -> T:
    """Does work on the processes that a launcher has started, and again where one has gone, or come, and the launcher is elastic.

    Args:
        name: See ``gtn_core.distributed.join``.
        work: Takes the world; begun again, it has to find what was done before.
    """
    from gtn_core.distributed import LostRankError

    with joined(name) as world:
        while True:
            try:
                return work(world)
            except LostRankError as error:
                if not world.meet_again():
                    raise
                log.warning("%s; going on as process %d of %d", error, world.rank, world.size)


def _lost_rank(error: BaseException | None) -> LostRankError | None:
    """Returns the error that another process has gone, also where an interrupt came while it was on its way."""
    from gtn_core.distributed import LostRankError

    while error is not None and not isinstance(error, LostRankError):
        error = error.__context__
    return error
