"""The memory model's arithmetic and how plans shrink to fit; for its figures see tests/gtn_sl/test_memory_use.py."""

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


def test_peak_grows_with_number_of_kept_graphs_up_to_t():
    peaks = [OUTER.peak(k) for k in range(9)]
    assert peaks == sorted(peaks)
    assert OUTER.peak(8) - OUTER.peak(7) == STEP.graph
    assert OUTER.peak(80) == OUTER.peak(8)
    assert OUTER.peak(0) == 1000 + 9 * 25 + 45 + 150


def test_smaller_judge_chunk_lowers_peak():
    wide = dataclasses.replace(OUTER, judge_sample=20.0)
    assert wide.peak(0) == 1000 + 9 * 25 + 10 + 20 * 64
    assert wide.peak(0, 16) == 1000 + 9 * 25 + 10 + 20 * 16
    assert wide.peak(0, 1000) == wide.peak(0)


@pytest.mark.parametrize("spare", [0, 99])
def test_fit_keeps_as_many_graphs_as_budget_allows(spare):
    plan = fit([OUTER], StepPlan(), OUTER.peak(5) + spare)
    assert (plan.keep_last_k, plan.judge_chunk) == (5, 0)


def test_fit_obeys_learner_with_largest_peak():
    dear = dataclasses.replace(OUTER, base=1300)
    assert fit([OUTER, dear], StepPlan(), OUTER.peak(5)).keep_last_k == 2


def test_fit_halves_judge_chunk_if_no_graph_fits():
    wide = dataclasses.replace(OUTER, judge_sample=20.0)
    plan = fit([wide], StepPlan(), wide.peak(0, 32))
    assert (plan.keep_last_k, plan.judge_chunk) == (0, 32)
    least = fit([wide], StepPlan(), 1).judge_chunk  # halved until that no longer helps
    assert wide.peak(0, least) == wide.peak(0, 1)


def test_fit_preserves_other_settings_of_plan():
    plan = StepPlan(layout="channels_last", precision="bfloat16", backend="forward")
    assert fit([OUTER], plan, 1 << 40) == dataclasses.replace(plan, keep_last_k=8)
