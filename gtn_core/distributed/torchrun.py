"""Processes started by torchrun, or by anything else that sets its variables, through torch.distributed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

# Its functions bind, as a default argument, the process group that exists when it is first imported. If it is imported
# here, before there is a group, it keeps none alive beyond `close`, whose threads now and then abort the interpreter's exit.
import torch.distributed.nn.functional
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from gtn_core.distributed.launch import WORLDS
from gtn_core.distributed.world import LostRankError, Wait, World
from gtn_core.errors import GTNError, UsageError
from gtn_core.memory.allocation import is_out_of_memory

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

MEETING = timedelta(minutes=30)
"""How long a process waits for the others to join."""

PATIENCE = timedelta(days=7)
"""How long a process waits for one that is busy, e.g. with the last agent of a study. One that died is noticed at once,
unless its machine vanished with it (docs/scaling.md)."""

MESSAGE = 1 << 10
"""Largest message that needs no second round, in bytes, including the 8 bytes of its length."""


LOST = ("/gloo/", "connection", "timed out", "broken pipe", "socket")
"""Parts of error messages that indicate a lost process; gloo's messages name the file of gloo that they come from."""

SOURCE_LINE = re.compile(r"^\[\S+:\d+\] ")
"""The position in gloo's own source that its messages begin with."""


@WORLDS.register("torch")
class TorchWorld(World):
    """torch.distributed: gloo for tensors in main memory, NCCL for those on GPUs, or gloo for both if processes share one.

    Args:
        environment: Environment variables set by the launcher.

    Raises:
        UsageError: A variable is missing.
        GTNError: PyTorch lacks torch.distributed, or the processes do not find each other.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        missing = [name for name in VARIABLES if name not in environment]
        if missing:
            raise UsageError(
                f"--world torch needs a launcher that sets {', '.join(missing)}, e.g. torchrun --nproc-per-node 2"
                " --no-python gtn-cli ..."
            )
        if not dist.is_available():
            raise GTNError("--world torch: this PyTorch was built without torch.distributed")
        gpus = torch.cuda.device_count() if dist.is_nccl_available() else 0
        self.local_rank = int(environment.get("LOCAL_RANK", 0))
        self.local_size = int(environment.get("LOCAL_WORLD_SIZE", 1))
        self.restarts = int(environment.get("TORCHELASTIC_RESTART_COUNT", 0))
        self.may_restart = int(environment.get("TORCHELASTIC_MAX_RESTARTS", 0)) > 0
        if gpus:
            torch.cuda.set_device(self.local_rank % gpus)  # so that "cuda" is this process's own GPU
        try:
            store, rank, size = next(rendezvous("env://", timeout=MEETING))
            # Restarted processes may find the store of those before them, with addresses where nobody listens any more.
            store = dist.PrefixStore(f"attempt {self.restarts}", store)  # type: ignore[attr-defined]
            backend = "cpu:gloo,cuda:nccl" if _all_have(store, size, gpus >= self.local_size) else "gloo"
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise GTNError(f"--world torch: the processes could not connect to each other: {error}") from error
        self.rank, self.size = rank, size

    def close(self) -> None:
        """See ``World.close``."""
        if dist.is_initialized():
            dist.destroy_process_group()

    def _start_sum(self, flat: Tensor) -> Wait:
        work: Any = _reached(lambda: dist.all_reduce(flat, async_op=True))
        return lambda: _reached(work.wait)

    def _broadcast(self, flat: Tensor) -> None:
        _reached(lambda: dist.broadcast(flat, 0))

    def _gather(self, message: bytes) -> list[bytes]:
        body = len(message).to_bytes(8, "little") + message
        found = self._gather_padded(body[:MESSAGE], MESSAGE)
        lengths = [8 + int.from_bytes(other[:8], "little") for other in found]
        if max(lengths) > MESSAGE:
            found = self._gather_padded(body, max(lengths))
        return [other[8:length] for other, length in zip(found, lengths, strict=True)]

    def _gather_padded(self, body: bytes, length: int) -> list[bytes]:
        own = torch.frombuffer(bytearray(body.ljust(length, b"\0")), dtype=torch.uint8)
        all_of_them = [torch.empty_like(own) for _ in range(self.size)]
        _reached(lambda: dist.all_gather(all_of_them, own))
        return [other.numpy().tobytes() for other in all_of_them]


def _all_have(store: Any, size: int, here: bool) -> bool:
    """Returns on every process whether ``here`` is true on all of them, e.g. that each has its own GPU for NCCL."""
    store.add("lacking", int(not here))
    if store.add("counted", 1) == size:  # the last one, so that all have reported
        store.set("all have", str(not store.add("lacking", 0)))
    return bool(store.get("all have") == b"True")


def _reached(operation: Callable[[], Any]) -> Any:
    """Runs a collective operation; raises ``LostRankError`` if its connections fail, since another process has gone."""
    try:
        return operation()
    except RuntimeError as error:
        told = str(error).lower()
        if is_out_of_memory(error) or not (isinstance(error, dist.DistError) or any(sign in told for sign in LOST)):
            raise
        reason = str(error).partition(". This is typically")[0].splitlines()[0]
        raise LostRankError(SOURCE_LINE.sub("", reason)[:200]) from error
