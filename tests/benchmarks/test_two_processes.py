"""The model of the speed-up: right where its answer is known, and bent where docs/scaling.md says that it bends."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from _speedup_model import Wire, backprop_speedup, evolution_speedup

sys.path.pop()

FREE = Wire(latency=0.0, bandwidth=1e18)
SLOW = Wire(latency=1e-3, bandwidth=1e8)


def test_a_free_wire_and_equal_learners_scale_without_loss():
    assert [backprop_speedup(n, 0.2, 0.0, 1e6, FREE) for n in (1, 2, 64)] == pytest.approx([1, 2, 64])


def test_unlike_learners_and_a_slow_wire_cost():
    assert 1 < backprop_speedup(2, 0.2, 0.05, 1e6, FREE) < 2
    assert backprop_speedup(2, 0.2, 0.0, 1e6, SLOW) == pytest.approx(
        2 * 0.2 / (0.2 + 2e-3 + 1e-2 + 2e-3 + 2.048e-5), rel=1e-6
    )


def test_evolution_ends_where_an_agents_own_steps_remain():
    at_most = (0.1 + 65 * 0.01) / (0.1 + 2 * 0.01)
    assert evolution_speedup(64, 0.1, 0.01, 64, FREE) == pytest.approx(at_most)
    assert evolution_speedup(1024, 0.1, 0.01, 64, FREE) == pytest.approx(at_most)
