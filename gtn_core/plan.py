"""How a step is computed on this machine: layout, precision, back-end and kept graphs, chosen by a cached micro-benchmark."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gtn_core.checkpoint import replacing
from gtn_core.config import Natural, config, resolve, to_dict
from gtn_core.errors import GTNError
from gtn_core.learner import Layout
from gtn_core.second_order import Backend, Batch, InnerLoss, first_order, second_order

log = logging.getLogger(__name__)

Precision = Literal["float32", "bfloat16"]


@config
class StepPlan:
    """The way a step and its adjoint are computed; every plan computes the same thing."""

    layout: Layout = "contiguous"
    """Memory layout of images and feature maps."""
    precision: Precision = "float32"
    """Arithmetic of the learner; parameters and optimizer state are float32 in either case."""
    backend: Backend = "reverse"
    """How second-order terms are computed for steps without a kept graph."""
    keep_last_k: Natural = 0
    """Steps whose graph is kept from the forward run, against memory."""

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[object]:
        """Returns the context that a learner's forward pass runs in."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)


Probe = Callable[[StepPlan], tuple[InnerLoss, Tensor, Batch]]
"""``plan -> (inner loss, phi, a batch)``: one inner step, built as the plan says."""


def choose_plan(
    name: str, probes: Sequence[Probe], steps: int, memory_mib: float, *, cache: Path | None = None
) -> StepPlan:
    """Times one step and its adjoint under every plan and returns the fastest.

    Args:
        name: What is timed, e.g. the learner's name; part of what a choice is remembered by.
        probes: Build the steps to time, e.g. of each learner that may come; the sum of their times decides.
        steps: T, the most graphs that could be kept.
        memory_mib: Budget for kept graphs.
        cache: File that remembers choices per machine, torch version, thread count and size of the step; ``None`` for none.

    Returns:
        The plan; why it won is logged.
    """
    usual = [probe(StepPlan()) for probe in probes]
    device = usual[0][1].device
    key = _key(name, [(phi, batch) for _, phi, batch in usual], steps, memory_mib)
    known = _read_cache(cache)
    if key in known:
        plan = resolve(StepPlan, known[key])
        log.info("plan: %s (remembered in %s)", _describe(plan), cache)
        return plan
    kept = min(steps, int(memory_mib * (1 << 20) / max(_graph_bytes(*step) for step in usual)))
    timed = [(_seconds(probes, plan, keep=False), plan) for plan in _candidates(device)]
    if kept == steps:
        layouts = {(p.layout, p.precision): p for _, p in timed if p.backend == "reverse"}
        timed += [(_seconds(probes, p, keep=True), dataclasses.replace(p, keep_last_k=kept)) for p in layouts.values()]
    timed.sort(key=lambda pair: pair[0])
    seconds, plan = timed[0]
    if plan.backend == "reverse" and not plan.keep_last_k and kept < steps:
        plan = dataclasses.replace(plan, keep_last_k=kept)
    losers = ", ".join(f"{_describe(p)} {1e3 * s:.0f} ms" for s, p in timed[1:4])
    log.info("plan: %s, %.0f ms for a step and its adjoint; next: %s", _describe(plan), 1e3 * seconds, losers)
    known[key] = to_dict(plan)
    _write_cache(cache, known)
    return plan


def default_cache() -> Path:
    """Returns the file that remembers plans, in the user's cache folder."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "gtn" / "plans.json"


def cosine(a: list[Tensor], b: list[Tensor]) -> float:
    """Returns the cosine between two gradients, each a list of tensors."""
    x, y = (torch.cat([tensor.flatten().double() for tensor in side]) for side in (a, b))
    return float(torch.nn.functional.cosine_similarity(x, y, dim=0))


def _candidates(device: torch.device) -> list[StepPlan]:
    precisions: list[Precision] = ["float32", "bfloat16"] if _has_bfloat16_units(device) else ["float32"]
    layouts: list[Layout] = ["contiguous", "channels_last"]
    backends: list[Backend] = ["reverse", "forward"]
    return [
        StepPlan(layout=layout, precision=precision, backend=backend)
        for precision in precisions
        for layout in layouts
        for backend in backends
    ]


def _has_bfloat16_units(device: torch.device) -> bool:
    """Says whether bfloat16 is worth timing: emulated, one step can take as long as a hundred in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch offers no public ones
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def _seconds(probes: Iterable[Probe], plan: StepPlan, *, keep: bool) -> float:
    """Returns how long one step and its adjoint take, summed over the probes; infinity where they cannot be computed so."""
    try:
        return sum(_seconds_of_step(*probe(plan), plan, keep) for probe in probes)
    except NotImplementedError:  # e.g. forward-mode differentiation of a user's learner
        return float("inf")


def _seconds_of_step(loss: InnerLoss, phi: Tensor, batch: Batch, plan: StepPlan, keep: bool, repeats: int = 3) -> float:
    """Returns the fastest of a few runs."""
    direction = torch.ones_like(phi)
    best = float("inf")
    for _ in range(1 + repeats):  # the first one warms up
        _synchronize(phi.device)
        start = time.perf_counter()
        step = first_order(loss, phi, batch, keep=keep)
        second_order(loss, phi, batch, direction, (), backend=plan.backend, step=step)
        _synchronize(phi.device)
        best = min(best, time.perf_counter() - start)
    return best


def _graph_bytes(loss: InnerLoss, phi: Tensor, batch: Batch) -> int:
    """Counts the memory that one kept step holds on to."""
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step = first_order(loss, phi, batch, keep=True)
    assert step.graph is not None
    return max(1, sum(storages.values()))


def _describe(plan: StepPlan) -> str:
    return f"{plan.layout} {plan.precision} {plan.backend}, {plan.keep_last_k} graphs kept"


def _key(name: str, steps_timed: Sequence[tuple[Tensor, Batch]], steps: int, memory_mib: float) -> str:
    phi = steps_timed[0][0]
    device = torch.cuda.get_device_name(phi.device) if phi.is_cuda else _processor()
    facts = (
        name,
        device,
        torch.__version__,
        torch.get_num_threads(),
        [(len(phi), [tuple(part.shape) for part in batch]) for phi, batch in steps_timed],
        steps,
        memory_mib,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _read_cache(cache: Path | None) -> dict[str, dict[str, object]]:
    with contextlib.suppress(OSError, json.JSONDecodeError):
        content = json.loads(cache.read_text()) if cache else {}
        if isinstance(content, dict):
            return content
    return {}


def _write_cache(cache: Path | None, known: dict[str, dict[str, object]]) -> None:
    if cache is None:
        return
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with replacing(cache) as file:
            file.write(json.dumps(known, indent=1).encode())
    except (OSError, GTNError) as error:  # a plan that is not remembered is only chosen again
        log.info("the plan could not be remembered: %s", error)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
