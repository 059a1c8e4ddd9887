"""Growth of the number of inner steps over a run."""

import pytest

from gtn_core.errors import UsageError
from gtn_sl.config import InnerConfig, resolve_config
from gtn_sl.growth import inner_steps


def test_inner_steps_grow_linearly_then_stay_constant():
    settings = InnerConfig(steps=32, grow=0.5, first_steps=4)
    steps = [inner_steps(settings, share / 100) for share in range(100)]
    assert steps[0] == 4
    assert steps == sorted(steps)
    assert steps[25] == 18
    assert steps[49] < 32
    assert set(steps[50:]) == {32}


def test_without_growth_all_inner_steps_are_used_from_start():
    assert inner_steps(InnerConfig(steps=7), 0.0) == 7


def test_first_steps_above_inner_steps_are_rejected():
    with pytest.raises(UsageError, match=r"inner\.first_steps=9 must be at most inner\.steps=8"):
        resolve_config("digits", "fast", {"inner": {"steps": 8, "first_steps": 9}})
