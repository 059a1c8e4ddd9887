"""Harvests of the real task: which states become centres."""

import numpy as np
import pytest

from gtn_rl.harvest import harvest
from gtn_rl.tasks import make_task


@pytest.mark.parametrize("first_steps", [1, 10, None])
def test_centres_are_states_of_the_first_steps(first_steps):
    gathered = harvest(make_task("Pendulum-v1"), 8, np.random.default_rng(0))
    steps = gathered.transitions.steps
    centres = gathered.centres(200, np.random.default_rng(1), first_steps)
    allowed = gathered.states if first_steps is None else gathered.states[steps < first_steps]
    assert centres.shape == (200, 3)
    assert bool((centres[:, None] == allowed[None]).all(dim=2).any(dim=1).all())
