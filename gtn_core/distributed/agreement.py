"""Collective work: done by all processes or by the first of them, where a failure on one is a failure on all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from gtn_core.distributed.world import LostRankError, World
from gtn_core.errors import GTNError

T = TypeVar("T")
Item = TypeVar("Item")


def everywhere(world: World, work: Callable[[], T]) -> T:
    """Does the same work on every process and returns this one's result; if it fails on one, it fails on all.

    Raises:
        GTNError: The work failed on some process. Every process raises the same; its ``rank`` says which one failed.
        Exception: On the process that failed, its own error if that is not a ``GTNError``.
    """
    return _done(world, work, lambda result: None)[0]


def gathered(world: World, work: Callable[[], T]) -> list[T]:
    """Does work on every process and returns all results, JSON values, by rank; raises as ``everywhere`` does."""
    return _done(world, work, lambda result: result)[1]


def first(world: World, work: Callable[[], T]) -> T:
    """Does work on process 0 and returns its result, a JSON value, everywhere; raises as ``everywhere`` does."""
    if world.size == 1:
        return work()
    results: list[Any] = gathered(world, work if world.rank == 0 else lambda: None)
    return results[0]  # type: ignore[no-any-return]


def first_before_others(world: World, work: Callable[[], T]) -> T:
    """Does work on every process, but on process 0 before the others, e.g. because it writes what all of them read."""
    return _leaders_first(world, world.rank == 0, work)


def first_on_each_machine(world: World, work: Callable[[], T]) -> T:
    """Does work on every process, but on each machine's first before its others, e.g. if it downloads what all read."""
    return _leaders_first(world, world.local_rank == 0, work)


def _leaders_first(world: World, leads: bool, work: Callable[[], T]) -> T:
    if world.size == 1:
        return work()
    done: list[T] = []

    def take_turn(mine: bool) -> None:
        if mine:
            done.append(work())

    everywhere(world, lambda: take_turn(leads))
    everywhere(world, lambda: take_turn(not leads))
    return done[0]


def share_out(
    world: World,
    items: Sequence[Item],
    work: Callable[[Item], T],
    done: Callable[[Item, T], None] = lambda item, result: None,
    before_round: Callable[[], None] = lambda: None,
) -> list[T]:
    """Distributes items over the processes and returns all results in the items' order, on every process.

    In each round every process does one item, consecutive items on consecutive ranks; items that take equally long
    should be adjacent.

    Args:
        world: The processes.
        items: The items, the same on every process.
        work: Computes the result, a JSON value, of an item.
        done: Called on every process with each item and its result, after its round.
        before_round: Called on every process before each round.
    """
    results: list[T] = []
    for start in range(0, len(items), world.size):
        before_round()
        part = items[start : start + world.size]
        own = part[world.rank] if world.rank < len(part) else None
        answers: list[Any] = gathered(world, lambda own=own: None if own is None else work(own))  # type: ignore[misc]
        for item, result in zip(part, answers, strict=False):
            done(item, result)
            results.append(result)
    return results


def _done(world: World, work: Callable[[], T], told: Callable[[T], Any]) -> tuple[T, list[Any]]:
    """Does work; returns its result, and ``told(result)`` of every process."""
    if world.size == 1:
        result = work()
        return result, [told(result)]
    failure: Exception | None = None
    try:
        result = work()
        message: dict[str, Any] = {"told": told(result)}
    except LostRankError:
        raise
    except Exception as error:  # of any kind: the others must not wait for this process
        failure = error
        message = {"failure": _described(error, world.rank)}
    messages = world.gather(message)
    for other in messages:
        if "failure" in other:
            raise _as_error(other["failure"], world.rank, failure)
    return result, [other["told"] for other in messages]


def _described(error: Exception, rank: int) -> dict[str, Any]:
    known = isinstance(error, GTNError)
    kind = type(error).__name__
    where = error.rank if isinstance(error, GTNError) and error.rank is not None else rank
    return {"kind": kind if known else "", "text": str(error) if known else f"{kind}: {error}", "rank": where}


def _as_error(failure: Mapping[str, Any], rank: int, own: Exception | None) -> Exception:
    """Returns a failure as an exception: this process's own unless it is a ``GTNError``, else one of its class and text."""
    if own is not None and failure["rank"] == rank and not isinstance(own, GTNError):
        return own
    kinds = {kind.__name__: kind for kind in _kinds(GTNError)}
    error = kinds.get(failure["kind"], GTNError)(failure["text"])
    error.rank = int(failure["rank"])
    return error


def _kinds(kind: type[GTNError]) -> Iterator[type[GTNError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
