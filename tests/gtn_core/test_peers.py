"""The adjoint against `higher` and `torchopt`, on small examples of theirs, in float64."""

from collections.abc import Callable

import higher
import pytest
import torch
import torchopt
from torch import Tensor, nn

from gtn_core.inner_optim import SGD, Adam, InnerOptimizer, RMSProp
from gtn_core.learner import Learner, fresh_learner
from gtn_core.unroll import InnerLoop, meta_gradient

STEPS, SHOTS = 4, 10
LR, MOMENTUM = 0.05, 0.6

OURS: dict[str, InnerOptimizer] = {"sgd": SGD(), "adam": Adam(eps=0.0), "rmsprop": RMSProp()}
"""By name. Adam has no eps, which ``higher`` adds before the bias correction, as PyTorch once did."""

TORCH: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda params: torch.optim.SGD(params, LR, momentum=MOMENTUM),
    "adam": lambda params: torch.optim.Adam(params, LR, betas=(MOMENTUM, 0.999), eps=0.0),
}
"""The same as ``higher`` takes them; of its RMSprop it says itself that the gradient is not right."""

TORCHOPT: dict[str, Callable[..., torchopt.MetaOptimizer]] = {
    "sgd": lambda module: torchopt.MetaSGD(module, LR, momentum=MOMENTUM),
    "adam": lambda module: torchopt.MetaAdam(module, LR, betas=(MOMENTUM, 0.999), eps=0.0),
    "rmsprop": lambda module: torchopt.MetaRMSProp(module, LR, alpha=0.99, momentum=MOMENTUM),
}
"""The same as ``torchopt`` has them."""

TORCHOPT_ERROR = {"sgd": 1e-10, "adam": 1e-4, "rmsprop": 1e-10}
"""Relative difference that rounding explains: the bias correction of its Adam is computed in float32."""


def regressor() -> nn.Module:
    """Returns the network of the sinusoid example of MAML (Finn et al., ICML 2017), which both peers adopted."""
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))


class Sinusoid:
    """Regression of sine waves: training points ``(STEPS, SHOTS, 1)`` that a teacher could move, and points to test on."""

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(0)
        self.x = 10 * torch.rand(STEPS, SHOTS, 1, generator=random, dtype=torch.float64) - 5
        self.y = (2 * torch.sin(self.x + 0.7)).requires_grad_()
        self.x.requires_grad_()
        self.test_x = torch.linspace(-5, 5, 20, dtype=torch.float64).unsqueeze(1)
        self.test_y = 2 * torch.sin(self.test_x + 0.7)
        self.learner, phi = fresh_learner(regressor, 0)
        self.phi = phi.double()

    def module(self) -> nn.Module:
        """Returns the network with the parameters ``phi``, as the peers take it."""
        module = regressor().double()
        nn.utils.vector_to_parameters(self.phi.clone(), module.parameters())
        return module

    def ours(self, optimizer: str) -> tuple[Tensor, ...]:
        """Returns the meta-loss and its gradients by x, y, the initial parameters, and rates and momenta of all steps."""
        dx, dy = torch.zeros_like(self.x), torch.zeros_like(self.y)

        def take(t: int, progress: Tensor | None, gradient: tuple[Tensor, ...]) -> None:
            dx[t], dy[t] = gradient

        learner: Learner = self.learner
        loop = InnerLoop(
            lambda phi, batch: (nn.functional.mse_loss(learner.apply(phi, batch[0])[0], batch[1]), ()),
            OURS[optimizer],
            self.phi,
            lambda t, progress: (self.x[t].detach(), self.y[t].detach()),
            torch.full((STEPS,), LR, dtype=torch.float64),
            torch.full((STEPS,), MOMENTUM, dtype=torch.float64),
        )

        def meta_loss(phi: Tensor, statistics: object, step: int) -> Tensor:
            return nn.functional.mse_loss(learner.apply(phi, self.test_x)[0], self.test_y)

        found = meta_gradient(loop, meta_loss, {STEPS: 1.0}, take)
        return found.meta_loss, dx, dy, found.phi, found.lr.sum(), found.momentum.sum()


def assert_same(found: tuple[Tensor, ...], expected: tuple[Tensor, ...], error: float = 1e-10) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.norm() > 1e-6, "a gradient that vanishes proves nothing"
        assert (ours - theirs).norm() / theirs.norm() < error


@pytest.mark.parametrize("optimizer", TORCH)
def test_adjoint_equals_higher_on_sinusoid(optimizer: str) -> None:
    work, module = Sinusoid(), Sinusoid().module()
    initial = [*module.parameters()]
    inner = TORCH[optimizer](initial)
    rate = torch.tensor(LR, dtype=torch.float64, requires_grad=True)
    momentum = torch.tensor(MOMENTUM, dtype=torch.float64, requires_grad=True)
    override = {"lr": [rate], **({} if optimizer == "adam" else {"momentum": [momentum]})}
    with higher.innerloop_ctx(module, inner, copy_initial_weights=False, override=override) as (learner, steps):
        for t in range(STEPS):
            steps.step(nn.functional.mse_loss(learner(work.x[t]), work.y[t]))
        loss = nn.functional.mse_loss(learner(work.test_x), work.test_y)
    # Its Adam takes no tensor in the place of beta1.
    leaves = [work.x, work.y, *initial, rate, *([] if optimizer == "adam" else [momentum])]
    dx, dy, *rest = torch.autograd.grad(loss, leaves)
    dphi = torch.cat([part.flatten() for part in rest[: len(initial)]])
    expected = (loss, dx, dy, dphi, *rest[len(initial) :])
    assert_same(work.ours(optimizer)[: len(expected)], expected)


@pytest.mark.parametrize("optimizer", TORCHOPT)
def test_adjoint_equals_torchopt_on_sinusoid(optimizer: str) -> None:
    work, module = Sinusoid(), Sinusoid().module()
    initial = [*module.parameters()]
    steps = TORCHOPT[optimizer](module)
    for t in range(STEPS):
        steps.step(nn.functional.mse_loss(module(work.x[t]), work.y[t]))
    loss = nn.functional.mse_loss(module(work.test_x), work.test_y)
    dx, dy, *rest = torch.autograd.grad(loss, [work.x, work.y, *initial])
    expected = (loss, dx, dy, torch.cat([part.flatten() for part in rest]))
    assert_same(work.ours(optimizer)[:4], expected, TORCHOPT_ERROR[optimizer])


@pytest.mark.parametrize("optimizer", TORCHOPT)
def test_adjoint_equals_torchopt_on_its_first_example(optimizer: str) -> None:
    """The first example of torchopt's documentation: a network with one parameter a, whose output a * x^2 is its loss."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return (self.a * x**2).sum()

    net, x = Net(), torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    steps = TORCHOPT[optimizer](net)
    for _ in range(STEPS):
        steps.step(net(x))
    loss = net(x)
    (expected,) = torch.autograd.grad(loss, x)

    through_steps = torch.zeros((), dtype=torch.float64)

    def take(t: int, progress: Tensor | None, gradient: tuple[Tensor, ...]) -> None:
        through_steps.add_(gradient[0])

    loop = InnerLoop(
        lambda phi, batch: ((phi * batch[0] ** 2).sum(), ()),
        OURS[optimizer],
        torch.ones(1, dtype=torch.float64),
        lambda t, progress: (x.detach(),),
        torch.full((STEPS,), LR, dtype=torch.float64),
        torch.full((STEPS,), MOMENTUM, dtype=torch.float64),
    )
    found = meta_gradient(loop, lambda phi, statistics, step: (phi * x.detach() ** 2).sum(), {STEPS: 1.0}, take)
    direct = 2 * x.detach() * net.a.detach()  # the last loss reads x itself, too
    assert_same((found.meta_loss, through_steps + direct.sum()), (loss, expected), TORCHOPT_ERROR[optimizer])
