"""Agents on several processes: each trains one at a time, and one that dies is an error that names its agent."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import torch

from gtn_core.errors import GTNError
from gtn_rl.transfer.agents import Job, run_job


def run_jobs(jobs: Sequence[Job], workers: int, done: Callable[[Job, dict[str, Any]], None]) -> None:
    """Runs jobs, each on one thread, and hands over every result as it comes.

    Args:
        jobs: What to run, in this order.
        workers: Processes; with one, the jobs run in this process.
        done: Called in this process with a job and its result.

    Raises:
        GTNError: A job failed, or a worker died; the others are stopped.
    """
    if workers == 1 or len(jobs) == 1:
        with _one_thread():
            for job in jobs:
                done(job, run_job(job))
        return
    context = multiprocessing.get_context("spawn")
    processes: dict[Connection, SpawnProcess] = {}
    held: dict[Connection, Job] = {}
    waiting = list(reversed(jobs))
    try:
        for _ in range(min(workers, len(jobs))):
            ours, theirs = context.Pipe()
            processes[ours] = context.Process(target=_work, args=(theirs,), daemon=True)
            processes[ours].start()
            theirs.close()  # so that a worker's death ends the pipe
            held[ours] = waiting.pop()
            with suppress(BrokenPipeError):
                ours.send(held[ours].to_json())
        while held:
            for pipe in wait(list(held)):
                assert isinstance(pipe, Connection)
                job = held.pop(pipe)
                done(job, _received(pipe, processes[pipe], job))
                if waiting:
                    held[pipe] = waiting.pop()
                    with suppress(BrokenPipeError):  # the wait finds out that it has died
                        pipe.send(held[pipe].to_json())
    finally:
        for process in processes.values():
            process.terminate()
        for pipe, process in processes.items():
            process.join()
            pipe.close()


def _received(pipe: Connection, process: SpawnProcess, job: Job) -> dict[str, Any]:
    try:
        result, failure = pipe.recv()
    except (EOFError, ConnectionError):
        process.join()
        code = process.exitcode or 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise GTNError(f"the worker that trained {job.title} died ({how}); fewer --workers need less memory") from None
    if failure is not None:
        raise GTNError(f"{job.title}: {failure}")
    assert isinstance(result, dict)
    return result


def _work(pipe: Connection) -> None:
    """Runs the jobs that come through a pipe until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    torch.set_num_threads(1)
    while True:
        try:
            job = Job.from_json(pipe.recv())
        except EOFError:
            return
        try:
            answer: tuple[dict[str, Any] | None, str | None] = (run_job(job), None)
        except GTNError as error:
            answer = (None, str(error))
        except Exception as error:
            answer = (None, f"{type(error).__name__}: {error}")
        try:
            pipe.send(answer)
        except BrokenPipeError:  # the parent has gone
            return


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
