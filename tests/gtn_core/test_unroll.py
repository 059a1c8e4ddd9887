"""The adjoint against plain autograd through the unrolled loop, and against finite differences, in float64."""

import gc
import resource

import pytest
import torch
from torch import nn

from gtn_core.errors import DivergedError
from gtn_core.inner_optim import INNER_OPTIMIZERS
from gtn_core.layers import WeightNormConv2d, WeightNormLinear
from gtn_core.learner import fresh_learner
from gtn_core.norms import BatchNorm, MeanOnlyBatchNorm
from gtn_core.unroll import InnerLoop, meta_gradient, run

STEPS, BATCH, CLASSES = 5, 6, 3


def build() -> nn.Module:
    return nn.Sequential(
        WeightNormConv2d(1, 4, 3, stride=2),
        MeanOnlyBatchNorm(4),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2),
        nn.Flatten(),
        # before a norm, a bias has only rounding noise as its gradient, which Adam would scale up to whole steps
        WeightNormLinear(16, 5, bias=False),
        BatchNorm(5),
        nn.Tanh(),
        WeightNormLinear(5, CLASSES),
    )


def soft_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return -(labels * logits.log_softmax(-1)).sum(-1).mean()


class Setting:
    """A small supervised inner loop with meta-losses; every input is a leaf."""

    def __init__(self, optimizer: str, layout: str = "contiguous", seed: int = 0) -> None:
        random = torch.Generator().manual_seed(seed)
        self.learner, phi = fresh_learner(build, seed, layout)
        self.optimizer = INNER_OPTIMIZERS[optimizer]()
        self.phi = phi.double().requires_grad_()
        self.x = torch.randn(STEPS, BATCH, 1, 8, 8, generator=random, dtype=torch.float64).requires_grad_()
        logits = torch.randn(STEPS, BATCH, CLASSES, generator=random, dtype=torch.float64)
        self.y = logits.softmax(-1).requires_grad_()
        self.lr = torch.linspace(0.05, 0.2, STEPS, dtype=torch.float64).requires_grad_()
        self.momentum = torch.linspace(0.3, 0.9, STEPS, dtype=torch.float64).requires_grad_()
        self.real_x = torch.randn(STEPS + 1, 9, 1, 8, 8, generator=random, dtype=torch.float64)
        self.real_y = torch.randint(CLASSES, (STEPS + 1, 9), generator=random)

    @property
    def inputs(self) -> tuple[torch.Tensor, ...]:
        return self.x, self.y, self.lr, self.momentum, self.phi

    def inner_loss(self, phi, batch):
        logits, statistics = self.learner.apply(phi, batch[0])
        return soft_cross_entropy(logits, batch[1]), statistics

    def meta_loss(self, phi, statistics, steps):
        logits, _ = self.learner.apply(phi, self.real_x[steps], statistics)
        return nn.functional.cross_entropy(logits, self.real_y[steps])

    def loop(self) -> InnerLoop:
        return InnerLoop(
            self.inner_loss,
            self.optimizer,
            self.phi.detach(),
            lambda t, progress: (self.x[t].detach(), self.y[t].detach()),
            self.lr.detach(),
            self.momentum.detach(),
        )

    def plain_autograd(self, weights: dict[int, float]) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        phi, state, total = self.phi, self.optimizer.init(self.phi), torch.zeros((), dtype=torch.float64)
        for t in range(STEPS):
            loss, statistics = self.inner_loss(phi, (self.x[t], self.y[t]))
            (grad,) = torch.autograd.grad(loss, phi, create_graph=True)
            phi, state = self.optimizer.update(phi, grad, state, self.lr[t], self.momentum[t])
            if t + 1 in weights:
                total = total + weights[t + 1] * self.meta_loss(phi, statistics, t + 1)
        return total, torch.autograd.grad(total, self.inputs)

    def adjoint(self, weights: dict[int, float], **options) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        dx, dy = torch.zeros_like(self.x), torch.zeros_like(self.y)

        def take(t, progress, gradient):
            dx[t], dy[t] = gradient

        result = meta_gradient(self.loop(), self.meta_loss, weights, take, **options)
        return result.meta_loss, (dx, dy, result.lr, result.momentum, result.phi)


@pytest.mark.parametrize("weights", [{STEPS: 1.0}, {2: 0.3, 4: 0.5, STEPS: 1.0}], ids=["final", "intermediate"])
@pytest.mark.parametrize("keep_last_k", [0, 2, STEPS])
@pytest.mark.parametrize("backend", ["reverse", "forward"])
@pytest.mark.parametrize("optimizer", sorted(INNER_OPTIMIZERS))
def test_adjoint_equals_plain_autograd(optimizer, backend, keep_last_k, weights):
    setting = Setting(optimizer)
    expected, gradients = setting.plain_autograd(weights)
    value, adjoints = setting.adjoint(weights, backend=backend, keep_last_k=keep_last_k)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    for name, gradient, adjoint in zip(["x", "y", "lr", "momentum", "phi"], gradients, adjoints, strict=True):
        error = (gradient - adjoint).norm() / gradient.norm()
        assert gradient.norm() > 1e-6, f"the gradient by {name} vanishes: the test would prove nothing"
        assert error < 1e-10, f"{name}: relative error {error:.1e}"


@pytest.mark.parametrize("optimizer", sorted(INNER_OPTIMIZERS))
def test_adjoint_equals_central_finite_differences(optimizer):
    setting, weights = Setting(optimizer, seed=1), {3: 0.5, STEPS: 1.0}
    if optimizer != "sgd":  # with a tiny eps the first steps are a sign function, which differences cannot follow
        setting.optimizer = INNER_OPTIMIZERS[optimizer](eps=1e-2)
    _, adjoints = setting.adjoint(weights)
    random = torch.Generator().manual_seed(2)
    for leaf, adjoint in zip(setting.inputs, adjoints, strict=True):
        direction = torch.randn(leaf.shape, generator=random, dtype=torch.float64)
        direction /= direction.norm()
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                leaf += sign * 1e-5 * direction
                trail = run(setting.loop(), history=True)
                values.append(
                    sum(w * setting.meta_loss(trail.phi[t], trail.statistics[t - 1], t) for t, w in weights.items())
                )
                leaf -= sign * 1e-5 * direction
        slope = (values[0] - values[1]) / 2e-5
        assert (adjoint * direction).sum().item() == pytest.approx(slope.item(), rel=1e-5, abs=1e-8)


def test_channels_last_layout_leaves_gradients_unchanged():
    plain, channels_last = Setting("sgd"), Setting("sgd", "channels_last")
    for a, b in zip(plain.adjoint({STEPS: 1.0})[1], channels_last.adjoint({STEPS: 1.0})[1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


def test_run_without_history_ends_at_same_parameters():
    setting, seen = Setting("adam"), []
    light = run(setting.loop(), after_step=lambda t, phi, statistics: seen.append((t, phi)))
    full = run(setting.loop(), history=True, keep_last_k=2)
    assert torch.equal(light.final, full.final)
    assert len(light.phi) == 1
    assert [t for t, _ in seen] == list(range(1, STEPS + 1))
    assert all(torch.equal(a, b) for (_, a), b in zip(seen, full.phi[1:], strict=True))


def test_divergence_error_names_inner_step():
    setting = Setting("sgd")
    setting.x.data[3, 0] = float("nan")
    with pytest.raises(DivergedError, match="inner step 3 of 5"):
        run(setting.loop())


def test_meta_losses_outside_inner_loop_are_rejected():
    setting = Setting("sgd")
    for weights in ({}, {0: 1.0}, {STEPS + 1: 1.0}):
        with pytest.raises(ValueError, match="1 to 5 steps"):
            setting.adjoint(weights)


def test_memory_stays_flat_over_fifty_meta_gradients():
    setting = Setting("sgd")

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    for _ in range(5):
        setting.adjoint({STEPS: 1.0}, keep_last_k=2)
    before, peak = tensors(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(50):
        setting.adjoint({STEPS: 1.0}, keep_last_k=2)
    assert tensors() == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 8 * 1024  # KiB; 50 leaked loops take more
