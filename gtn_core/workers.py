"""Runs jobs on several processes, each on one thread; if a process dies, the error names its job."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

import torch

from gtn_core.errors import GTNError
from gtn_core.threads import one_thread

J = TypeVar("J")
R = TypeVar("R")


def run_jobs(
    work: Callable[[J], R],
    jobs: Sequence[J],
    workers: int,
    done: Callable[[J, R], object],
    title: Callable[[J], str] = str,
) -> None:
    """Runs jobs, each on one thread, and passes every result on as it arrives.

    Args:
        work: Does one job; a module-level function, so that another process can import it.
        jobs: The jobs, run in this order; with several processes, they and their results must be picklable.
        workers: Number of processes; with one, the jobs run in this process.
        done: Called in this process with a job and its result.
        title: Returns the name of a job for error messages.

    Raises:
        GTNError: A job failed, or a worker died; the others are stopped.
    """
    if workers == 1 or len(jobs) == 1:
        with one_thread():
            for job in jobs:
                done(job, _done_here(work, job, title))
        return
    context = multiprocessing.get_context("spawn")
    processes: dict[Connection, SpawnProcess] = {}
    held: dict[Connection, J] = {}
    waiting = list(reversed(jobs))
    try:
        for _ in range(min(workers, len(jobs))):
            ours, theirs = context.Pipe()
            processes[ours] = context.Process(target=serve, args=(theirs, work), daemon=True)
            with _interrupts_blocked():
                processes[ours].start()
            theirs.close()  # so that a worker's death closes the pipe
            held[ours] = waiting.pop()
            with suppress(BrokenPipeError):
                ours.send(held[ours])
        while held:
            for pipe in wait(list(held)):
                assert isinstance(pipe, Connection)
                job = held.pop(pipe)
                done(job, _received(pipe, processes[pipe], title(job)))
                if waiting:
                    held[pipe] = waiting.pop()
                    with suppress(BrokenPipeError):  # `wait` notices that it has died
                        pipe.send(held[pipe])
    finally:
        for process in processes.values():
            process.terminate()
        for pipe, process in processes.items():
            process.join()
            pipe.close()


def _done_here(work: Callable[[J], R], job: J, title: Callable[[J], str]) -> R:
    try:
        return work(job)
    except Exception as error:
        raise GTNError(f"{title(job)}: {_told(error)}") from error


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, GTNError) else f"{type(error).__name__}: {error}"


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Blocks Ctrl-C for a moment; a process started meanwhile never receives it, not even before ``serve``."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _received(pipe: Connection, process: SpawnProcess, title: str) -> Any:
    try:
        result, failure = pipe.recv()
    except (EOFError, ConnectionError):
        process.join()
        code = process.exitcode or 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise GTNError(f"the worker of {title} died ({how}); if memory ran out, use fewer --workers") from None
    if failure is not None:
        raise GTNError(f"{title}: {failure}")
    return result


def serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """Runs the jobs that arrive through a pipe until it closes; answers ``(result, None)`` or ``(None, message)``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    os.dup2(2, 1)  # moves what a user's code prints to stderr: the parent's stdout may be one JSON document
    torch.set_num_threads(1)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            answer: tuple[Any, str | None] = (work(job), None)
        except Exception as error:
            answer = (None, _told(error))
        try:
            pipe.send(answer)
        except BrokenPipeError:  # the parent has gone
            return
        except Exception as error:  # a user's object can raise anything when pickled; nothing has been sent then
            pipe.send((None, f"its result cannot be sent back: {type(error).__name__}: {error}"))
