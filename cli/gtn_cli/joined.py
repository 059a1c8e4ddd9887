"""A command that several processes run together: how they find each other, and which of them speaks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gtn_core.errors import GTNError

if TYPE_CHECKING:
    from gtn_core.distributed import World

log = logging.getLogger("gtn_cli")


@contextlib.contextmanager
def joined(name: str) -> Iterator[World]:
    """Joins the processes that a launcher has started, for the length of a command.

    A failure that all know of is told by the process where it happened; the others end silently with the same exit code.

    Args:
        name: See ``gtn_core.distributed.join``.
    """
    from gtn_core.distributed import LostRankError, join

    world = join(name)
    if world.size > 1:
        log.info("process %d of %d (--world %s)", world.rank, world.size, name)
    try:
        yield world
    except LostRankError:
        raise  # each process knows only of itself
    except GTNError as error:
        if error.rank is not None and error.rank != world.rank:
            raise SystemExit(error.exit_code) from None
        raise
    finally:
        world.close()
