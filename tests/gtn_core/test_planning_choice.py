"""The choice of a step plan: the fastest wins and is cached; damaged or unwritable caches are harmless."""

import dataclasses
import json
import logging
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from gtn_core.learner import fresh_learner
from gtn_core.planning import choice, execution
from gtn_core.planning.cache import cache_key
from gtn_core.planning.choice import Choice, TimedPlan, choose_plan, choose_threads, compare_plans, settled
from gtn_core.planning.plan import StepPlan, cosine
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


def room_for(graphs):
    """Returns a function that adapts a plan to a memory for this many graphs."""
    return lambda plan: dataclasses.replace(plan, keep_last_k=graphs)


def test_fastest_plan_is_chosen_and_logged(monkeypatch, caplog):
    def seconds(loss, phi, batch, plan):
        return 1.0 if (plan.layout, plan.backend, plan.keep_last_k) == ("channels_last", "forward", 0) else 2.0

    monkeypatch.setattr(choice, "_seconds_of_step", seconds)
    with caplog.at_level(logging.INFO):
        plan = choose_plan("net", [probe], 4, room_for(4))
    assert (plan.layout, plan.backend, plan.keep_last_k) == ("channels_last", "forward", 0)
    assert "1000 ms for a step and its adjoint" in caplog.text


@pytest.mark.parametrize(
    ("fastest", "timed", "fitting", "kept"),
    [
        (StepPlan(), 0, 3, 3),  # each kept graph saves a forward pass
        (StepPlan(), 0, 10, 10),
        (StepPlan(), 10, 10, 0),  # all could be kept, but rebuilding them was faster
        (StepPlan(), 10, 7, 0),
        (StepPlan(keep_last_k=10), 10, 10, 10),
        (StepPlan(keep_last_k=10), 10, 7, 7),
        (StepPlan(backend="forward"), 0, 3, 0),  # cannot use kept graphs
        (StepPlan(execution="compiled"), 0, 3, 0),
    ],
)
def test_settled_plan_keeps_graphs_only_where_useful(fastest, timed, fitting, kept):
    assert settled(Choice(plan=fastest, kept=timed), room_for(fitting)(fastest)).keep_last_k == kept


def test_rejected_graph_keeping_stays_off_with_less_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(choice, "_seconds_of_step", lambda loss, phi, batch, plan: 1.0 + plan.keep_last_k)
    for room in (4, 3):
        assert choose_plan("net", [probe], 4, room_for(room), cache=tmp_path / "plans.json").keep_last_k == 0


def test_plan_that_keeps_some_graphs_is_timed_by_their_share(monkeypatch):
    def seconds(loss, phi, batch, plan):
        return 3.0 if plan.keep_last_k else {"reverse": 5.0, "forward": 4.0}[plan.backend]

    monkeypatch.setattr(choice, "_seconds_of_step", seconds)
    timed = compare_plans([probe], 4, 3, precisions=["float32"])
    assert sorted((each.plan.keep_last_k, each.seconds) for each in timed if each.plan.layout == "contiguous") == [
        (0, 4.0),
        (0, 5.0),
        (3, 3.5),
    ]
    assert choose_plan("net", [probe], 4, room_for(3)).keep_last_k == 3  # 3.5 s is less than 4
    assert choose_plan("net", [probe], 4, room_for(1)).backend == "forward"  # 4.5 s is not
    assert choose_plan("net", [probe], 4, room_for(0)).backend == "forward"


def test_remembered_choice_is_made_anew_when_memory_has_changed(monkeypatch, tmp_path):
    def seconds(loss, phi, batch, plan):
        return 3.0 if plan.keep_last_k else {"reverse": 5.0, "forward": 4.0}[plan.backend]

    monkeypatch.setattr(choice, "_seconds_of_step", seconds)
    chosen = {}
    for room in (1, 4, 3, 0):
        plan = choose_plan("net", [probe], 4, room_for(room), cache=tmp_path / "plans.json")
        chosen[room] = plan.backend, plan.keep_last_k
    assert chosen == {1: ("forward", 0), 4: ("reverse", 4), 3: ("reverse", 3), 0: ("forward", 0)}


def test_unsupported_backend_is_ranked_last():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx, dy):
            return 2 * ctx.saved_tensors[0] * dy

    def stubborn(plan):
        return lambda phi, batch: (Square.apply(phi).sum() * batch[0].sum(), ()), torch.ones(3), (torch.ones(2),)

    trials = compare_plans([stubborn], 2, 0)
    assert {trial.plan.backend for trial in trials if trial.seconds == float("inf")} == {"forward"}
    assert trials[0].plan.backend == "reverse"
    assert TimedPlan(StepPlan(), float("inf")).describe().endswith("impossible")


def test_timing_includes_preparation_of_every_inner_loop(monkeypatch):
    prepared = []

    def slowly(function, inputs):
        prepared.append(time.sleep(0.2))
        return function

    monkeypatch.setattr(execution, "captured", slowly)
    choice._timed([probe], StepPlan(execution="captured"))
    assert len(prepared) == 2  # the step and its adjoint, once for all inner loops
    trial = choice._timed([probe], StepPlan(execution="captured"), anew=4)
    assert len(prepared) == 2 + 2 * 3  # again for each of three inner loops
    assert trial.seconds >= 2 * 0.2 / 4


def test_plan_is_cached_and_damaged_cache_is_rebuilt(tmp_path, caplog):
    cache = tmp_path / "folder" / "plans.json"
    first = choose_plan("net", [probe], 4, room_for(4), cache=cache)
    with caplog.at_level(logging.INFO):
        assert choose_plan("net", [probe], 4, room_for(4), cache=cache) == first
    assert "cached" in caplog.text
    assert len(json.loads(cache.read_text())) == 1
    cache.write_text("{")
    assert choose_plan("net", [probe], 4, room_for(4), cache=cache).precision in ("float32", "bfloat16")
    assert len(json.loads(cache.read_text())) == 1


def test_thread_count_is_chosen_and_cached(tmp_path, monkeypatch, caplog):
    cache, before = tmp_path / "plans.json", torch.get_num_threads()
    monkeypatch.setattr(choice, "_seconds_of_step", lambda *step: {1: 3.0, 2: 1.0, 3: 2.0}[torch.get_num_threads()])
    try:
        torch.set_num_threads(3)
        with caplog.at_level(logging.INFO):
            assert choose_threads("net", [probe], StepPlan(), 3, cache=cache) == 2
            assert torch.get_num_threads() == 3
            monkeypatch.undo()  # a cached choice is not timed again
            assert choose_threads("net", [probe], StepPlan(), 3, cache=cache) == 2
    finally:
        torch.set_num_threads(before)
    assert "threads: 2 of 3; a step and its adjoint: 3000 ms on 1, 1000 ms on 2, 2000 ms on 3" in caplog.text
    assert "threads: 2 of 3 (cached" in caplog.text


@pytest.mark.parametrize("entry", [3, [], {}, {"layout": "contiguous"}, {"plan": {"layout": "sideways"}, "kept": 4}])
def test_invalid_cache_entry_is_replaced_and_others_kept(tmp_path, entry):
    cache = tmp_path / "plans.json"
    choose_plan("net", [probe], 4, room_for(4), cache=cache)
    (key,) = json.loads(cache.read_text())
    cache.write_text(json.dumps({key: entry, "another": 1}))
    choose_plan("net", [probe], 4, room_for(4), cache=cache)
    known = json.loads(cache.read_text())
    assert set(known[key]) == {"plan", "kept"}
    assert known["another"] == 1


def test_non_text_cache_is_rebuilt(tmp_path):
    cache = tmp_path / "plans.json"
    cache.write_bytes(b"\xff\xfe\x00")
    choose_plan("net", [probe], 4, room_for(4), cache=cache)
    assert len(json.loads(cache.read_text())) == 1


def test_cache_entries_of_concurrent_runs_are_kept(tmp_path):
    cache = tmp_path / "plans.json"

    def fits(plan):
        cache.write_text('{"another": 1}')
        return dataclasses.replace(plan, keep_last_k=4)

    choose_plan("net", [probe], 4, fits, cache=cache)
    assert json.loads(cache.read_text())["another"] == 1


def test_cache_key_depends_on_number_of_learners_side_by_side():
    batch = (torch.ones(2, 3),)
    keys = {cache_key("net", [(torch.ones(shape), batch)]) for shape in ((3,), (3, 5), (3, 7))}
    assert len(keys) == 3


def test_cached_plan_is_adapted_to_current_memory(tmp_path):
    cache = tmp_path / "plans.json"
    before = choose_plan("net", [probe], 8, room_for(6), cache=cache)
    after = choose_plan("net", [probe], 8, room_for(4), cache=cache)
    assert dataclasses.replace(before, keep_last_k=0) == dataclasses.replace(after, keep_last_k=0)
    assert after.keep_last_k == min(4, before.keep_last_k)


def test_unwritable_cache_does_not_raise():
    choose_plan("net", [probe], 4, room_for(4), cache=Path("/dev/null/plans.json"))


def test_bfloat16_gradient_differs_but_aligns_with_float32():
    gradients = []
    for precision in ("float32", "bfloat16"):
        loss, phi, batch = probe(StepPlan(precision=precision))
        gradients.append([first_order(loss, phi, batch).grad])
    assert not torch.equal(*gradients[0], *gradients[1])
    assert cosine(*gradients) > 0.99


@pytest.mark.parametrize(
    ("a", "b", "expected"), [([1.0, 0.0], [2.0, 0.0], 1), ([1.0, 0.0], [0.0, 3.0], 0), ([1.0], [-1.0], -1)]
)
def test_cosine_measures_similarity_of_tensor_lists(a, b, expected):
    assert cosine([torch.tensor(a)], [torch.tensor(b)]) == pytest.approx(expected)
