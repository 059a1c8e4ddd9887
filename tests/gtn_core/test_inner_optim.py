"""One step of each inner optimizer against torch.optim, and the bounds of the meta-learned schedule."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtn_core.inner_optim import INNER_OPTIMIZERS, SGD, Adam, RMSProp, Schedule, inner_optimizer

LR, MOMENTUM = 0.03, 0.8
REFERENCES = {
    "sgd": lambda p: torch.optim.SGD(p, lr=LR, momentum=MOMENTUM),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=LR, momentum=MOMENTUM),
    "adam": lambda p: torch.optim.Adam(p, lr=LR, betas=(MOMENTUM, 0.999)),
}


def test_every_optimizer_has_a_reference():
    assert set(REFERENCES) == set(INNER_OPTIMIZERS)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_steps_equal_those_of_torch(name):
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
def test_pull_back_is_finite_where_a_gradient_is_zero(optimizer):
    phi, grad = torch.ones(3), torch.tensor([0.0, 1e-20, 1.0])
    state = optimizer.init(phi)
    lr, momentum = torch.tensor(LR), torch.tensor(MOMENTUM)
    new_phi, new_state = optimizer.update(phi, grad, state, lr, momentum)
    adjoint_state = tuple(torch.ones_like(s) for s in new_state)
    pulled = optimizer.pull_back(phi, grad, state, lr, momentum, new_state, torch.ones_like(new_phi), adjoint_state)
    for adjoint in (pulled.phi, pulled.grad, *pulled.state, pulled.lr, pulled.momentum):
        assert torch.isfinite(adjoint).all()


def test_eps_goes_to_the_optimizers_that_have_one():
    assert inner_optimizer("adam", 1e-3) == Adam(eps=1e-3)
    assert inner_optimizer("rmsprop", 1e-3) == RMSProp(eps=1e-3)
    assert inner_optimizer("sgd", 1e-3) == SGD()


@given(shift=st.floats(-1e4, 1e4), bound=st.floats(0.6, 0.999))
def test_momentum_never_reaches_its_bound_and_rates_stay_positive(shift, bound):
    schedule = Schedule(4, 0.02, 0.5, max_momentum=bound)
    with torch.no_grad():
        schedule.logit_momentum += shift
    lr, momentum = schedule()
    assert (lr > 0).all()
    assert (momentum >= 0).all()
    assert (momentum <= bound).all()
    assert bound < 1


def test_schedule_starts_where_it_is_told():
    lr, momentum = Schedule(3, 0.02, 0.5)()
    torch.testing.assert_close(lr, torch.full((3,), 0.02))
    torch.testing.assert_close(momentum, torch.full((3,), 0.5))


@pytest.mark.parametrize(("lr", "momentum"), [(0, 0.5), (-1, 0.5), (0.1, 0), (0.1, 0.995)])
def test_schedule_refuses_values_that_make_none(lr, momentum):
    with pytest.raises(ValueError, match="need lr > 0"):
        Schedule(3, lr, momentum)


def test_a_fixed_schedule_has_nothing_to_learn():
    assert not any(p.requires_grad for p in Schedule(3, 0.1, 0.5, learned=False).parameters())
