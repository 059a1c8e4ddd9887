"""Processes started by horovodrun or an MPI launcher, through Horovod."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gtn_core.distributed.launch import WORLDS
from gtn_core.distributed.world import LostRankError, OtherRanksError, Wait, World
from gtn_core.errors import GTNError, UsageError
from gtn_core.launcher import launched_size

POLL_SECONDS = 1e-4
"""Seconds between two polls of a pending operation; Horovod's own cycle is a millisecond."""


@WORLDS.register("horovod")
def _horovod(environment: Mapping[str, str]) -> World:
    return ElasticHorovod(environment) if environment.get("HOROVOD_ELASTIC") == "1" else HorovodWorld(environment)


class HorovodWorld(World):
    """Horovod over MPI, gloo or NCCL, depending on its build.

    Args:
        environment: Environment variables set by the launcher.

    Raises:
        UsageError: No launcher has started this process.
        GTNError: Horovod is not installed, or sees another number of processes than the launcher has started.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        try:
            import horovod.torch as hvd
        except ImportError as error:
            raise GTNError(
                f"--world horovod: cannot import Horovod ({error}); build it with scripts/install_horovod.sh, use torchrun,"
                " which needs no build, or ignore the launcher with --world single"
            ) from error
        launched = launched_size("horovod", environment)
        if launched is None:
            raise UsageError("--world horovod needs a launcher, e.g. horovodrun -np 2 gtn-cli ...")
        self._hvd = hvd
        self._meet()
        if self.size != launched and not self.may_restart:
            raise GTNError(
                f"the launcher started {launched} processes, but Horovod sees {self.size}: it may have been built without MPI;"
                " rebuild it with scripts/install_horovod.sh where mpicxx is installed, or use horovodrun --gloo"
            )

    def _meet(self) -> None:
        """Joins the other processes; sets this one's ranks and its GPU."""
        _reached(self._hvd.init)
        self.rank, self.size = self._hvd.rank(), self._hvd.size()
        self.local_rank, self.local_size = self._hvd.local_rank(), self._hvd.local_size()
        if torch.cuda.is_available():
            torch.cuda.set_device(self.local_rank % torch.cuda.device_count())

    def close(self) -> None:
        """See ``World.close``."""
        self._hvd.shutdown()

    def _start_sum(self, flat: Tensor) -> Wait:
        handle = _reached(lambda: self._hvd.allreduce_async_(flat, op=self._hvd.Sum))
        return lambda: self._end_of(handle)

    def _broadcast(self, flat: Tensor) -> None:
        self._end_of(_reached(lambda: self._hvd.broadcast_async_(flat, 0)))

    def _gather(self, message: bytes) -> list[bytes]:
        body = torch.frombuffer(bytearray(len(message).to_bytes(8, "little") + message), dtype=torch.uint8)
        rest: bytes = self._end_of(_reached(lambda: self._hvd.allgather_async(body))).numpy().tobytes()
        found = []
        while rest:
            end = 8 + int.from_bytes(rest[:8], "little")
            found.append(rest[8:end])
            rest = rest[end:]
        return found

    def _end_of(self, handle: int) -> Any:
        """Waits for an operation and returns its result.

        Polls, since Python handles no signal while Horovod waits. Under MPI, a signal is the only sign that another
        process has gone: the launcher sends SIGTERM, and then SIGKILL.
        """
        while not self._hvd.poll(handle):
            time.sleep(POLL_SECONDS)
        return _reached(lambda: self._hvd.synchronize(handle))


class ElasticHorovod(HorovodWorld):
    """Elastic Horovod: processes may leave and join, and those that are left continue.

    The launcher may announce new ones at any moment; all learn of it in the next ``gather``, and abandon their work
    together.
    """

    may_restart = True

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(environment)
        from horovod.common.elastic import notification_manager

        self._told = threading.Event()
        notification_manager.init()
        notification_manager.register_listener(self)

    def on_hosts_updated(self, timestamp: int, result: int) -> None:
        """Called by the launcher's listener thread when the available processes have changed."""
        self._told.set()

    def meet_again(self) -> bool:
        """See ``World.meet_again``."""
        self._hvd.shutdown()
        self._told.clear()
        self._meet()
        self.restarts += 1
        return True

    def _gather(self, message: bytes) -> list[bytes]:
        flagged = super()._gather(bytes([self._told.is_set()]) + message)
        if any(each[0] for each in flagged):
            raise OtherRanksError
        return [each[1:] for each in flagged]


def _reached(operation: Callable[[], Any]) -> Any:
    """Runs a collective operation; raises ``LostRankError`` if it fails, which means that another process has gone."""
    from horovod.common.exceptions import HorovodInternalError

    try:
        return operation()
    except HorovodInternalError as error:
        raise LostRankError(" ".join(str(error).split())[:200]) from error
