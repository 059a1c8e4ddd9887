"""Worker processes that step environments, and the memory that they share with this process.

They are fresh interpreters, so a script that uses them needs no ``if __name__ == "__main__"``, and no thread is forked.
"""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterable
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector.utils import CloudpickleWrapper

from gtn_core.errors import WHERE, GTNError
from gtn_rl.tasks import env_worker
from gtn_rl.tasks.env_worker import Arrays, Layout, arrays_in, nbytes

SIGNALS = {signal.SIGINT, signal.SIGTERM}
"""Sent to the whole process group; only this process handles them, and closes the pipes to its workers."""
START = """
import runpy, signal, sys
for number in {signals}:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signals})
sys.path[:] = {path!r}
runpy.run_path({file!r}, run_name="__main__")
"""
PATIENCE = 2.0  # seconds that a worker gets to exit before it is killed


class Crew:
    """Workers that hold the copies of one environment, dealt out in turn, so that a group of copies is spread over all.

    Args:
        name: The environment's id, for messages.
        spec: Spec for ``gymnasium.make``. It is pickled by value, so it may be defined in a script.
        size: Number of workers.
    """

    def __init__(self, name: str, spec: EnvSpec, size: int) -> None:
        self._name = name
        self._memory = os.memfd_create("gtn-copies")
        self._processes: list[subprocess.Popen[bytes]] = []
        self._pipes: list[Connection] = []
        self._at_work = range(0)
        self.close = weakref.finalize(self, dismiss, self._memory, self._processes, self._pipes)
        first = pickle.dumps(CloudpickleWrapper(lambda: spec))
        for _ in range(size):
            ours, theirs = Pipe()
            self._pipes.append(ours)
            self._processes.append(start(theirs, self._memory))
            theirs.close()
        for i in range(size):
            self._send(i, first)

    @property
    def closed(self) -> bool:
        """Whether the workers have ended, by ``close`` or after a failure."""
        return not self.close.alive

    def reset(self, layout: Layout, seeds: np.ndarray) -> Arrays:
        """Starts an episode in each copy and returns the shared arrays.

        Args:
            layout: Layout of the arrays.
            seeds: One seed per copy, (n,).

        Raises:
            GTNError: A worker failed.
        """
        os.ftruncate(self._memory, nbytes(layout))
        size = len(self._pipes)
        self._at_work = range(min(size, layout.copies))
        for i in self._at_work:
            part = slice(i, None, size)
            # A plain tuple: unpickling the class would import its package, and torch with it, in every worker.
            self._send(i, pickle.dumps((tuple(layout), part, seeds[part])))
        self._wait(self._at_work)
        return arrays_in(mmap.mmap(self._memory, nbytes(layout)), layout)

    def step(self) -> None:
        """Steps every active copy, with the actions in the shared arrays.

        Raises:
            GTNError: A worker failed.
        """
        for i in self._at_work:
            self._send(i, b"")
        self._wait(self._at_work)

    def restart(self, copies: np.ndarray, seeds: np.ndarray) -> None:
        """Starts new episodes in the copies at positions (k,), with seeds (k,).

        Raises:
            GTNError: A worker failed.
        """
        size = len(self._pipes)
        owners = copies % size
        busy = np.unique(owners).tolist()
        for i in busy:
            self._send(i, pickle.dumps((copies[owners == i] // size, seeds[owners == i])))
        self._wait(busy)

    def _send(self, i: int, message: bytes) -> None:
        try:
            self._pipes[i].send_bytes(message)
        except OSError as error:
            raise self._died(i) from error

    def _wait(self, workers: Iterable[int]) -> None:
        try:
            for i in workers:
                try:
                    answer = self._pipes[i].recv_bytes()
                except (EOFError, OSError) as error:
                    raise self._died(i) from error
                if answer:
                    what, _, traceback = answer.decode().partition("\n")
                    raise GTNError(f"{self._name} failed in a worker: {what} ({WHERE})") from RuntimeError(traceback)
        except BaseException:
            self.close()  # unread answers would be taken for those of the next step
            raise

    def _died(self, i: int) -> GTNError:
        process = self._processes[i]
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
        self.close()
        return GTNError(f"worker {i} of {len(self._processes)} of {self._name} died with exit code {code}")


def start(pipe: Connection, memory: int) -> subprocess.Popen[bytes]:
    """Starts a worker at the other end of a pipe.

    Its environments' output goes to stderr, since stdout belongs to this process.
    """
    code = START.format(path=sys.path, file=env_worker.__file__, signals={int(number) for number in SIGNALS})
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # inherited by the worker, until it ignores them
    try:
        return subprocess.Popen(
            [sys.executable, "-c", code, str(pipe.fileno()), str(memory)],
            pass_fds=(pipe.fileno(), memory),
            stdin=subprocess.DEVNULL,
            stdout=2,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def dismiss(memory: int, processes: list[subprocess.Popen[bytes]], pipes: list[Connection]) -> None:
    """Ends workers by closing their pipes, and kills those that do not exit."""
    for pipe in pipes:
        pipe.close()
    for process in processes:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    os.close(memory)
