"""The choice of how a step is computed: it is the fastest, it is remembered, and a damaged memory does no harm."""

import json
import logging

import pytest
import torch
from torch import nn

from gtn_core import plan as plans
from gtn_core.learner import fresh_learner
from gtn_core.plan import StepPlan, choose_plan, cosine
from gtn_core.second_order import first_order


def build() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(4 * 36, 3))


def probe(plan):
    learner, phi = fresh_learner(build, 0, plan.layout)
    batch = (torch.ones(5, 1, 6, 6), torch.eye(3)[torch.arange(5) % 3])

    def loss(phi, batch):
        with plan.autocast(phi.device):
            logits, statistics = learner.apply(phi, batch[0])
        return -(batch[1] * logits.float().log_softmax(-1)).sum(-1).mean(), statistics

    return loss, phi, batch


def test_the_fastest_plan_wins_and_the_reason_is_logged(monkeypatch, caplog):
    def seconds(probes, plan, *, keep):
        return 1.0 if (plan.layout, plan.backend, keep) == ("channels_last", "forward", False) else 2.0

    monkeypatch.setattr(plans, "_seconds", seconds)
    with caplog.at_level(logging.INFO):
        plan = choose_plan("net", [probe], 4, 1000.0)
    assert (plan.layout, plan.backend, plan.keep_last_k) == ("channels_last", "forward", 0)
    assert "1000 ms for a step and its adjoint" in caplog.text


def test_kept_graphs_stay_within_their_budget():
    held = plans._graph_bytes(*probe(StepPlan()))
    batch_bytes = 5 * 36 * 4
    assert 4 * batch_bytes < held < 100 * batch_bytes  # the four channels after the convolution, a few times over
    plan = choose_plan("net", [probe], 10, 3.5 * held / 2**20)
    assert plan.keep_last_k == (3 if plan.backend == "reverse" else 0)


def test_a_choice_is_remembered_and_a_damaged_memory_is_made_anew(tmp_path, caplog):
    cache = tmp_path / "folder" / "plans.json"
    first = choose_plan("net", [probe], 4, 100.0, cache=cache)
    with caplog.at_level(logging.INFO):
        assert choose_plan("net", [probe], 4, 100.0, cache=cache) == first
    assert "remembered" in caplog.text
    assert len(json.loads(cache.read_text())) == 1
    cache.write_text("{")
    assert choose_plan("net", [probe], 4, 100.0, cache=cache).precision in ("float32", "bfloat16")
    assert len(json.loads(cache.read_text())) == 1


def test_an_unwritable_memory_is_no_failure():
    choose_plan("net", [probe], 4, 100.0, cache=plans.Path("/dev/null/plans.json"))


def test_bfloat16_autocast_is_coarse_but_points_the_same_way():
    gradients = []
    for precision in ("float32", "bfloat16"):
        loss, phi, batch = probe(StepPlan(precision=precision))
        gradients.append([first_order(loss, phi, batch).grad])
    assert not torch.equal(*gradients[0], *gradients[1])
    assert cosine(*gradients) > 0.99


@pytest.mark.parametrize(
    ("a", "b", "expected"), [([1.0, 0.0], [2.0, 0.0], 1), ([1.0, 0.0], [0.0, 3.0], 0), ([1.0], [-1.0], -1)]
)
def test_cosine(a, b, expected):
    assert cosine([torch.tensor(a)], [torch.tensor(b)]) == pytest.approx(expected)
