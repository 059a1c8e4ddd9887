"""The memory model's arithmetic, and what it gives up where memory is short. Its figures: tests/gtn_sl/test_memory_use.py."""

import dataclasses

import pytest

from gtn_core.planning.memory_model import OuterMemory, StepMemory, fit
from gtn_core.planning.plan import StepPlan

STEP = StepMemory(
    history=20,
    batch=5,
    graph=100,
    forward=60,
    forward_kept=110,
    backward=150,
    backward_kept=40,
)
OUTER = OuterMemory(STEP, steps=8, base=1000, theta=30, teacher=70, judge_fixed=10, judge_sample=2.0, samples=64)


def test_the_peak_grows_by_a_graph_with_each_that_is_kept():
    peaks = [OUTER.peak(k) for k in range(9)]
    assert peaks == sorted(peaks)
    assert OUTER.peak(8) - OUTER.peak(7) == STEP.graph
    assert OUTER.peak(80) == OUTER.peak(8)
    assert OUTER.peak(0) == 1000 + 9 * 25 + 45 + 150


def test_judging_fewer_at_a_time_takes_less():
    wide = dataclasses.replace(OUTER, judge_sample=20.0)
    assert wide.peak(0) == 1000 + 9 * 25 + 10 + 20 * 64
    assert wide.peak(0, 16) == 1000 + 9 * 25 + 10 + 20 * 16
    assert wide.peak(0, 1000) == wide.peak(0)


@pytest.mark.parametrize("spare", [0, 99])
def test_as_many_graphs_are_kept_as_fit(spare):
    plan = fit([OUTER], StepPlan(), OUTER.peak(5) + spare)
    assert (plan.keep_last_k, plan.judge_chunk) == (5, 0)


def test_the_dearest_learner_decides():
    dear = dataclasses.replace(OUTER, base=1300)
    assert fit([OUTER, dear], StepPlan(), OUTER.peak(5)).keep_last_k == 2


def test_without_room_for_a_graph_judging_is_halved_as_far_as_it_helps():
    wide = dataclasses.replace(OUTER, judge_sample=20.0)
    plan = fit([wide], StepPlan(), wide.peak(0, 32))
    assert (plan.keep_last_k, plan.judge_chunk) == (0, 32)
    least = fit([wide], StepPlan(), 1).judge_chunk  # where even that is not enough, the step itself is what is left
    assert wide.peak(0, least) == wide.peak(0, 1)


def test_a_plan_keeps_what_it_says_otherwise():
    plan = StepPlan(layout="channels_last", precision="bfloat16", backend="forward")
    assert fit([OUTER], plan, 1 << 40) == dataclasses.replace(plan, keep_last_k=8)
