"""One function for each way to compute the meta-gradient, with each peer written as its own users would."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint as checkpointed

from gtn_core.inner_optim import SGD
from gtn_core.learner import Statistics
from gtn_core.norms import statistic_names
from gtn_core.planning.execution import Execution
from gtn_core.second_order import Backend, Batch
from gtn_core.unroll import InnerLoop, meta_gradient
from gtn_sl.peers.work import Gradients, Work

NamedTensors = dict[str, Tensor]


def adjoint(
    work: Work, *, backend: Backend = "reverse", keep: int | None = 0, execution: Execution = "eager"
) -> Gradients:
    """Runs this project's adjoint, keeping the graphs of the last ``keep`` steps, or of all if it is ``None``."""
    learner = work.learner
    dx, dy = torch.empty_like(work.x), torch.empty_like(work.y)

    def meta_loss(phi: Tensor, statistics: Statistics, steps: int) -> Tensor:
        return work.meta_loss(lambda x: learner.apply(phi, x, statistics)[0])

    def take(t: int, progress: Tensor | None, gradient: Batch) -> None:
        dx[t], dy[t] = gradient

    x, y, T = work.x.detach(), work.y.detach(), work.steps
    momentum = work.momentum.detach().expand(T)
    loop = InnerLoop(work.step_loss, SGD(), learner.initial(), lambda t, _: (x[t], y[t]), work.lr.detach(), momentum)
    kept = T if keep is None else keep
    found = meta_gradient(loop, meta_loss, {T: 1.0}, take, backend=backend, keep_last_k=kept, execution=execution)
    return Gradients(dx, dy, found.lr, found.momentum, found.phi)


def autograd(work: Work, *, checkpoint: bool = False) -> Gradients:
    """Runs plain PyTorch: one graph through all steps, or each step recomputed by ``torch.utils.checkpoint``."""
    module = work.module()
    names = list(dict(module.named_parameters()))
    norm_buffers = statistic_names(module)
    momenta = work.momentum.expand(work.steps)

    def step(
        phi: list[Tensor], buffers: list[Tensor], x: Tensor, y: Tensor, lr: Tensor, momentum: Tensor
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        state: NamedTensors = dict(zip(names, phi, strict=True)) | dict.fromkeys(norm_buffers, phi[0])
        loss = work.inner_loss(work.call(lambda x: functional_call(module, state, (x,), tie_weights=False), x), y)
        grads = torch.autograd.grad(loss, phi, create_graph=True)
        buffers = [momentum * b + g for b, g in zip(buffers, grads, strict=True)]
        phi = [p - lr * b for p, b in zip(phi, buffers, strict=True)]
        return phi, buffers, [state[name] for name in norm_buffers]  # the forward pass put its statistics there

    initial: list[Tensor] = list(module.parameters())
    phi, buffers, statistics = initial, [torch.zeros_like(p) for p in initial], list[Tensor]()
    for t in range(work.steps):
        inputs = phi, buffers, work.x[t], work.y[t], work.lr[t], momenta[t]
        if checkpoint:
            phi, buffers, statistics = checkpointed(step, *inputs, use_reentrant=False, preserve_rng_state=False)
        else:
            phi, buffers, statistics = step(*inputs)
    judge = work.module().eval()  # the first one stays in training mode, in which checkpointed steps are recomputed
    state = dict(zip(names, phi, strict=True)) | dict(zip(norm_buffers, statistics, strict=True))
    return _differentiate(work, work.meta_loss(lambda x: functional_call(judge, state, (x,))), initial)


def higher(work: Work) -> Gradients:
    """Runs ``higher`` (Grefenstette et al., 2019), with the schedule given through ``override``."""
    import higher as library

    module, momenta = work.module(), work.momentum.expand(work.steps)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.5)
    with library.innerloop_ctx(module, optimizer, copy_initial_weights=False) as (learner, differentiable):
        for t in range(work.steps):
            loss = work.inner_loss(work.call(learner, work.x[t]), work.y[t])
            differentiable.step(loss, override={"lr": [work.lr[t]], "momentum": [momenta[t]]})
        learner.eval()
        return _differentiate(work, work.meta_loss(learner), list(module.parameters()))


def torchopt(work: Work) -> Gradients:
    """Runs TorchOpt's ``MetaSGD`` (Ren et al., 2023), learning rates as a schedule, one momentum for all steps."""
    import torchopt as library

    module = work.module()
    initial = list(module.parameters())
    momentum: Any = work.momentum  # annotated as a number there, but a tensor works, including its gradient

    def learning_rate(count: Any) -> Tensor:
        return work.lr[count]

    optimizer = library.MetaSGD(module, lr=learning_rate, momentum=momentum)
    for t in range(work.steps):
        optimizer.step(work.inner_loss(work.call(module, work.x[t]), work.y[t]))
    module.eval()
    return _differentiate(work, work.meta_loss(module), initial)


def _differentiate(work: Work, loss: Tensor, initial: Sequence[Tensor]) -> Gradients:
    leaves = (work.x, work.y, work.lr, work.momentum, *initial)
    dx, dy, lr, momentum, *phi = torch.autograd.grad(loss, leaves, materialize_grads=True)
    return Gradients(dx, dy, lr, momentum, torch.cat([p.reshape(-1) for p in phi]))


@dataclass(frozen=True)
class Method:
    """A way to compute the meta-gradient.

    Attributes:
        run: Computes it.
        ours: Whether it is this project's own.
        needs: Package that it needs besides this one and torch, if any.
        shared_momentum: Whether it supports only one momentum for all steps.
    """

    run: Callable[..., Gradients]
    ours: bool = False
    needs: str | None = None
    shared_momentum: bool = False


METHODS = {
    "ours k=0 reverse": Method(adjoint, ours=True),
    "ours k=0 forward": Method(partial(adjoint, backend="forward"), ours=True),
    "ours k=T": Method(partial(adjoint, keep=None), ours=True),
    "autograd": Method(autograd),
    "checkpoint": Method(partial(autograd, checkpoint=True)),
    "higher": Method(higher, needs="higher"),
    "torchopt": Method(torchopt, needs="torchopt", shared_momentum=True),
}
"""In the order they are run and printed; autograd is the reference for agreement in float64."""


def missing_package(name: str) -> str | None:
    """Returns the package that a method needs and that is not installed, if any."""
    needs = METHODS[name].needs
    return needs if needs is not None and importlib.util.find_spec(needs) is None else None
