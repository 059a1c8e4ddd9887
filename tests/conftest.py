"""Shared by all tests: hypothesis settings for machines of any speed, floating-point mode, work on several ranks."""

from __future__ import annotations

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "any-machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("any-machine")

HELPERS = str(Path(__file__).parent / "helpers")
os.environ["PYTHONPATH"] = os.pathsep.join([HELPERS, *filter(None, [os.environ.get("PYTHONPATH")])])
"""As setup.cfg's ``pythonpath`` does for the tests, so that the programs they start find ``short_agents``, too."""


@pytest.fixture(autouse=True)
def _subnormal_numbers() -> Iterator[None]:
    """Undoes the flushing of subnormal numbers to 0, which a meta-training turns on for the whole process."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture
def in_processes() -> Callable[..., list[Any]]:
    """Runs ``work(world, *arguments)`` on ranks that are joined through torch.distributed; see ``_in_processes``."""
    return _in_processes


def _in_processes(size: int, work: Callable[..., Any], *arguments: object, timeout: float = 300) -> list[Any]:
    """Returns the results of ``size`` processes, by rank; ``None`` for one that died.

    They are forked, so that nothing has to be imported again, and find each other by the variables that torchrun sets.
    """
    context = multiprocessing.get_context("fork")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes, pipes = [], []
    for rank in range(size):
        ours, theirs = context.Pipe(duplex=False)
        processes.append(context.Process(target=_process, args=(theirs, rank, size, port, work, arguments)))
        processes[-1].start()
        theirs.close()
        pipes.append(ours)
    results = [_received(pipe, timeout) for pipe in pipes]
    for process in processes:
        process.kill()
        process.join()
    errors = [value for kind, value in results if kind == "error"]
    assert not errors, "\n".join(errors)
    return [value for _, value in results]


def _received(pipe: Connection, timeout: float) -> tuple[str, Any]:
    try:
        return pipe.recv() if pipe.poll(timeout) else ("error", "a process did not answer in time")
    except EOFError:
        return "died", None


def _process(
    pipe: Connection, rank: int, size: int, port: int, work: Callable[..., Any], arguments: tuple[object, ...]
) -> None:
    from gtn_core.distributed import join

    torch.set_num_threads(1)
    numbers = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    os.environ.update({name: str(number) for name, number in numbers.items()}, MASTER_ADDR="127.0.0.1")
    try:
        pipe.send(("result", work(join("torch"), *arguments)))
    except BaseException:
        pipe.send(("error", f"rank {rank}: {traceback.format_exc()}"))
    finally:
        os._exit(0)  # skips the teardown of what was inherited from the test's process
