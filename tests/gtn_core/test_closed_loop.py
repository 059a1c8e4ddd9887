"""Closed loops: the meta-gradient against plain autograd and finite differences, in float64; the learner's progress."""

import pytest
import torch
from torch import nn

from gtn_core.closed_loop import class_progress
from gtn_core.estimators import SNES, Backprop, Episode, EstimatorConfig, Teacher
from gtn_core.inner_optim import INNER_OPTIMIZERS
from gtn_core.inner_schedule import Schedule
from gtn_core.layers import WeightNormLinear
from gtn_core.learner import fresh_learner
from gtn_core.norms import MeanOnlyBatchNorm
from gtn_core.planning.plan import StepPlan

STEPS, BATCH, FEATURES, CLASSES = 5, 6, 7, 3
BOTH_LOSSES = {2: 0.3, 4: 0.5, STEPS: 1.0}


def build() -> nn.Module:
    return nn.Sequential(
        WeightNormLinear(FEATURES, 6, bias=False),
        MeanOnlyBatchNorm(6),
        nn.Tanh(),
        WeightNormLinear(6, CLASSES),
    )


class Attentive(Teacher):
    """A teacher whose inputs and soft labels both depend on the learner's progress."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=random, dtype=torch.float64))

        self.x, self.y = drawn(STEPS, BATCH, FEATURES), drawn(STEPS, BATCH, CLASSES)
        self.move_x, self.move_y = drawn(1 + CLASSES, BATCH * FEATURES), drawn(1 + CLASSES, BATCH * CLASSES)
        self.inner_schedule = Schedule(STEPS, 0.3, 0.6).double()

    def batch(self, step):
        return self.x[step], self.y[step].softmax(dim=-1)

    def batch_for(self, step, progress):
        if progress is None:
            return self.batch(step)
        x = self.x[step] + (progress @ self.move_x).tanh().view(BATCH, FEATURES)
        y = self.y[step] + (progress @ self.move_y).view(BATCH, CLASSES)
        return x, y.softmax(dim=-1)

    def schedule(self):
        return self.inner_schedule()


class Setting:
    """An episode of an ``Attentive`` teacher, and two ways to differentiate it."""

    def __init__(self, optimizer: str = "sgd", weights: dict[int, float] | None = None) -> None:
        self.learner, phi = fresh_learner(build, 0)
        self.teacher = Attentive()
        random = torch.Generator().manual_seed(1)
        self.real_x = torch.randn(STEPS + 1, 9, FEATURES, generator=random, dtype=torch.float64)
        self.real_y = torch.randint(CLASSES, (STEPS + 1, 9), generator=random)
        optimizer = INNER_OPTIMIZERS[optimizer]()
        self.episode = Episode(self.inner_loss, optimizer, phi.double(), self.meta_loss, weights or {STEPS: 1.0})

    def inner_loss(self, phi, batch):
        logits, statistics = self.learner.apply(phi, batch[0])
        loss = -(batch[1] * logits.log_softmax(-1)).sum(-1).mean()
        return loss, statistics, class_progress(loss, logits, batch[1])

    def meta_loss(self, phi, statistics, steps):
        logits, _ = self.learner.apply(phi, self.real_x[steps], statistics)
        return nn.functional.cross_entropy(logits, self.real_y[steps])

    def adjoint(self, **plan) -> tuple[float, dict[str, torch.Tensor]]:
        self.teacher.zero_grad()
        estimate = Backprop(EstimatorConfig(plan=StepPlan(**plan))).estimate(self.teacher, self.episode)
        gradients = {name: p.grad.clone() for name, p in self.teacher.named_parameters()}
        return estimate.values["meta/weighted_loss"], gradients

    def plain_autograd(self, *, blind: bool = False) -> tuple[float, dict[str, torch.Tensor]]:
        """Differentiates one graph of the whole loop; ``blind`` treats the progress as a constant."""
        phi, optimizer = self.episode.phi.clone().requires_grad_(), self.episode.optimizer
        state, progress, total = optimizer.init(phi), None, torch.zeros((), dtype=torch.float64)
        lr, momentum = self.teacher.schedule()
        for t in range(STEPS):
            loss, statistics, following = self.inner_loss(phi, self.teacher.batch_for(t, progress))
            (grad,) = torch.autograd.grad(loss, phi, create_graph=True)
            phi, state = optimizer.update(phi, grad, state, lr[t], momentum[t])
            progress = following.detach() if blind else following
            if t + 1 in self.episode.weights:
                total = total + self.episode.weights[t + 1] * self.meta_loss(phi, statistics, t + 1)
        names, leaves = zip(*self.teacher.named_parameters(), strict=True)
        return total.item(), dict(zip(names, torch.autograd.grad(total, leaves), strict=True))


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / a.norm())


@pytest.mark.parametrize("weights", [{STEPS: 1.0}, BOTH_LOSSES], ids=["final", "intermediate"])
@pytest.mark.parametrize("keep_last_k", [0, 3])
@pytest.mark.parametrize("backend", ["reverse", "forward"])
@pytest.mark.parametrize("optimizer", sorted(INNER_OPTIMIZERS))
def test_adjoint_equals_plain_autograd(optimizer, backend, keep_last_k, weights):
    setting = Setting(optimizer, weights)
    expected, gradients = setting.plain_autograd()
    value, adjoints = setting.adjoint(backend=backend, keep_last_k=keep_last_k)
    assert value == pytest.approx(expected, rel=1e-12)
    for name, gradient in gradients.items():
        assert gradient.norm() > 1e-6, f"the gradient by {name} vanishes: the test would prove nothing"
        assert error(gradient, adjoints[name]) < 1e-10, name


def test_detached_progress_changes_every_gradient():
    setting = Setting()
    gradients, blind = setting.plain_autograd()[1], setting.plain_autograd(blind=True)[1]
    assert all(error(gradient, blind[name]) > 1e-3 for name, gradient in gradients.items())


def test_adjoint_equals_central_differences_of_fitness():
    setting = Setting(weights=BOTH_LOSSES)
    _, adjoints = setting.adjoint()
    gradient = torch.cat([adjoints[name].flatten() for name, _ in setting.teacher.named_parameters()])
    theta, random = setting.teacher.theta(), torch.Generator().manual_seed(2)
    for _ in range(3):
        direction = torch.randn(theta.shape, generator=random, dtype=torch.float64)
        direction /= direction.norm()
        up, down = setting.episode.fitness(
            setting.teacher, torch.stack([theta + 1e-5 * direction, theta - 1e-5 * direction])
        )
        assert float(gradient @ direction) == pytest.approx(float(down - up) / 2e-5, rel=1e-5)
    assert torch.equal(setting.teacher.theta(), theta)


def test_snes_estimates_nonzero_gradient_in_closed_loop():
    setting = Setting()
    SNES(EstimatorConfig(population=4)).estimate(setting.teacher, setting.episode)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in setting.teacher.parameters())


def test_class_progress_of_certain_answers_is_accuracy():
    answers, classes = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 0, 0, 1, 1])
    progress = class_progress(torch.tensor(0.7), 100.0 * torch.eye(4)[answers], torch.eye(4)[classes])
    torch.testing.assert_close(progress, torch.tensor([0.7, 2 / 3, 1.0, 0.25, 0.25]))


def test_class_progress_handles_soft_labels_and_absent_classes():
    logits = torch.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([[0.75, 0.25, 0.0], [0.25, 0.75, 0.0]], requires_grad=True)
    progress = class_progress(torch.tensor(1.0), logits, labels)
    likely = logits.softmax(dim=-1)
    torch.testing.assert_close(progress[1], 0.75 * likely[0, 0] + 0.25 * likely[1, 0])
    assert progress[3].item() == pytest.approx(1 / 3)
    by_logits, by_labels = torch.autograd.grad(progress.sum(), (logits, labels))
    assert by_logits.abs().sum() > 0
    assert torch.isfinite(by_labels).all()
