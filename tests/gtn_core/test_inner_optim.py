"""Inner optimizers against torch.optim and autograd, learning rates per parameter, and the inner schedule."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtn_core.inner_optim import INNER_OPTIMIZERS, SGD, Adam, RMSProp, ScaledRates, inner_optimizer
from gtn_core.inner_schedule import Schedule
from gtn_core.layers import WeightNormConv2d
from gtn_core.learner import Learner

LR, MOMENTUM = 0.03, 0.8
REFERENCES = {
    "sgd": lambda p: torch.optim.SGD(p, lr=LR, momentum=MOMENTUM),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=LR, momentum=MOMENTUM),
    "adam": lambda p: torch.optim.Adam(p, lr=LR, betas=(MOMENTUM, 0.999)),
}


def test_every_inner_optimizer_has_torch_reference():
    assert set(REFERENCES) == set(INNER_OPTIMIZERS)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_updates_equal_torch_optim(name):
    random = torch.Generator().manual_seed(0)
    phi = torch.randn(50, generator=random, dtype=torch.float64)
    parameter = torch.nn.Parameter(phi.clone())
    reference, ours = REFERENCES[name]([parameter]), INNER_OPTIMIZERS[name]()
    state, lr, momentum = ours.init(phi), torch.tensor(LR), torch.tensor(MOMENTUM)
    for _ in range(5):
        grad = torch.randn(50, generator=random, dtype=torch.float64)
        grad[:5] = 0  # a parameter that never had a gradient must stay finite
        parameter.grad = grad.clone()
        reference.step()
        phi, state = ours.update(phi, grad, state, lr, momentum)
        torch.testing.assert_close(phi, parameter.data, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("optimizer", [Adam(), RMSProp()])
def test_pull_back_is_finite_for_zero_gradients(optimizer):
    phi, grad = torch.ones(3), torch.tensor([0.0, 1e-20, 1.0])
    state = optimizer.init(phi)
    lr, momentum = torch.tensor(LR), torch.tensor(MOMENTUM)
    new_phi, new_state = optimizer.update(phi, grad, state, lr, momentum)
    adjoint_state = tuple(torch.ones_like(s) for s in new_state)
    pulled = optimizer.pull_back(phi, grad, state, lr, momentum, new_state, torch.ones_like(new_phi), adjoint_state)
    for adjoint in (pulled.phi, pulled.grad, *pulled.state, pulled.lr, pulled.momentum):
        assert torch.isfinite(adjoint).all()


def test_eps_is_passed_only_to_optimizers_that_use_it():
    assert inner_optimizer("adam", 1e-3) == Adam(eps=1e-3)
    assert inner_optimizer("rmsprop", 1e-3) == RMSProp(eps=1e-3)
    assert inner_optimizer("sgd", 1e-3) == SGD()


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_scaled_rates_equal_torch_parameter_groups(name):
    torch.manual_seed(0)
    phi, factors = torch.randn(6).double(), torch.tensor([1.0, 1.0, 0.5, 0.5, 0.1, 0.1]).double()
    parameters = [torch.nn.Parameter(piece.clone()) for piece in phi.split(2)]
    reference = REFERENCES[name](
        [{"params": [p], "lr": f * LR} for p, f in zip(parameters, (1.0, 0.5, 0.1), strict=True)]
    )
    ours = ScaledRates(INNER_OPTIMIZERS[name](), factors)
    state, lr, momentum = ours.init(phi), torch.tensor(LR), torch.tensor(MOMENTUM)
    for _ in range(5):
        grad = torch.randn(6, dtype=torch.float64)
        for parameter, piece in zip(parameters, grad.split(2), strict=True):
            parameter.grad = piece.clone()
        reference.step()
        phi, state = ours.update(phi, grad, state, lr, momentum)
        torch.testing.assert_close(phi, torch.cat([p.data for p in parameters]), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_scaled_rates_pull_back_equals_autograd(name):
    torch.manual_seed(0)
    ours = ScaledRates(INNER_OPTIMIZERS[name](), torch.rand(5, dtype=torch.float64))
    phi, grad = torch.randn(2, 5, dtype=torch.float64).requires_grad_()
    lr, momentum = torch.tensor([LR, MOMENTUM], dtype=torch.float64).requires_grad_()
    state = ours.update(phi.detach(), torch.randn(5).double(), ours.init(phi.detach()), lr.detach(), momentum.detach())[
        1
    ]
    state = tuple(s.double().requires_grad_() for s in state)
    outputs = (new_phi := ours.update(phi, grad, state, lr, momentum))[0], *new_phi[1]
    towards = [torch.randn_like(output) for output in outputs]
    expected = torch.autograd.grad(outputs, (phi, grad, lr, momentum, *state), towards, materialize_grads=True)
    still = [t.detach() for t in (phi, grad, lr, momentum)]
    new_state = tuple(output.detach() for output in outputs[1:])
    pulled = ours.pull_back(
        *still[:2], tuple(s.detach() for s in state), *still[2:], new_state, towards[0], tuple(towards[1:])
    )
    torch.testing.assert_close((pulled.phi, pulled.grad, pulled.lr, pulled.momentum, *pulled.state), expected)


def test_learning_rate_falls_with_fan_in():
    learner = Learner(torch.nn.Sequential(WeightNormConv2d(3, 2, 3, bias=True), torch.nn.Linear(5, 4)))
    phi = learner.initial()
    bound = inner_optimizer("adam", 1e-3, fan_in=9).bind(learner, phi)
    v, g, bias, weight, last = bound.factors.split([54, 2, 2, 20, 4])
    assert v.tolist() == pytest.approx([1 / 3] * 54)
    assert bound.optimizer == Adam(eps=1e-3)
    assert torch.cat([g, bias, weight, last]).eq(1).all()
    assert inner_optimizer("adam", 1e-3).bind(learner, phi) == Adam(eps=1e-3)


@given(shift=st.floats(-1e4, 1e4), bound=st.floats(0.6, 0.999))
def test_schedule_keeps_momenta_within_bounds(shift, bound):
    schedule = Schedule(4, 0.02, 0.5, max_momentum=bound)
    with torch.no_grad():
        schedule.logit_momentum += shift
    _, momentum = schedule()
    assert (momentum >= 0).all()
    assert (momentum <= bound).all()


def test_schedule_starts_at_given_values():
    lr, momentum = Schedule(3, 0.02, 0.5)()
    torch.testing.assert_close(lr, torch.full((3,), 0.02))
    torch.testing.assert_close(momentum, torch.full((3,), 0.5))


@pytest.mark.parametrize(("lr", "momentum"), [(0, 0.5), (-1, 0.5), (0.1, 0), (0.1, 0.995)])
def test_schedule_rejects_out_of_range_values(lr, momentum):
    with pytest.raises(ValueError, match="expected lr > 0"):
        Schedule(3, lr, momentum)


def test_fixed_schedule_has_no_trainable_parameters():
    assert not any(p.requires_grad for p in Schedule(3, 0.1, 0.5, learned=False).parameters())
