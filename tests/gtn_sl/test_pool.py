"""The pool of learners: reproducible draws, ranges, warm-up, depth schedule, and reuse of compiled learners."""

import dataclasses

import pytest
import torch

from gtn_core.errors import UsageError
from gtn_core.planning.plan import StepPlan
from gtn_core.seeding import Streams
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS
from gtn_sl.learners import ACTIVATIONS, LEARNERS, NORMS, architecture
from gtn_sl.learners.pool import LearnerConfig, LearnerPool, pool_families, widest

MIXED = LearnerConfig(
    pool=("base_fc:4-8,6-10,8-12", "linear:8,6,norm=none", "sampled:4-6", "sampled4:3-9,activation=tanh"),
    width_scale=(0.5, 2.0),
    norms=("own", "batch", "group"),
    activations=("own", "relu", "elu"),
)


def make(settings: LearnerConfig, seed: int = 0) -> LearnerPool:
    families = pool_families(settings)
    return LearnerPool(settings, families, TASKS["digits"], Streams(seed), StepPlan(), torch.device("cpu"))


def test_draw_is_determined_by_seed_and_episode():
    one, again, other = make(MIXED), make(MIXED), make(MIXED, seed=1)
    for index in (3, 1, 2):  # in any order, as after a resume
        assert one.member(index, 0.1).describe() == again.member(index, 0.9).describe()
        (learner, phi), (same, same_phi) = one.draw(index, 0.1), again.draw(index, 0.9)
        assert torch.equal(phi, same_phi)
        assert learner.parameters(phi).keys() == same.parameters(phi).keys()
    assert [one.member(i, 0.0).form for i in range(9)] != [other.member(i, 0.0).form for i in range(9)]


def test_draws_cover_every_choice_not_fixed_by_name():
    members = [make(MIXED).member(index, 0.0) for index in range(300)]
    assert {m.name for m in members} == set(MIXED.pool)
    by_name = {name: [m.form for m in members if m.name == name] for name in MIXED.pool}
    base, linear, sampled, sampled4 = by_name.values()
    assert {form.norm for form in base} == {"mean-only", "batch", "group"}
    assert {form.activation for form in base} == {"leaky_relu", "relu", "elu"}
    assert {form.widths[0] for form in base} <= set(range(2, 17))
    assert min(form.widths[0] for form in base) < 4 < 8 < max(form.widths[0] for form in base)
    assert {(form.widths, form.norm) for form in linear} == {((8, 6), "none")}
    assert {form.depth for form in sampled} == set(range(5))
    assert {(form.depth, form.activation) for form in sampled4} == {(4, "tanh")}


def test_description_of_drawn_learner_recreates_its_form():
    pool = make(MIXED)
    for index in range(20):
        member = pool.member(index, 0.0)
        again = architecture(member.describe())
        assert again.form == member.form


def test_warm_up_draws_only_first_learner_of_pool():
    pool = make(dataclasses.replace(MIXED, warm_up=0.25))
    assert {pool.member(index, 0.2).name for index in range(30)} == {MIXED.pool[0]}
    assert len({pool.member(index, 0.25).name for index in range(30)}) == 4


def test_depth_follows_schedule():
    pool = make(LearnerConfig(pool=("sampled:4",), depth_schedule=10))
    assert [pool.member(index, 0.0).form.depth for index in (0, 9, 10, 25, 39, 40, 1000)] == [0, 0, 1, 2, 3, 4, 4]


def test_random_widths_set_ranges_of_single_learner():
    settings = LearnerConfig(architecture="base_fc", random_widths=((4, 6), (7, 7), (8, 10)))
    assert {make(settings).member(index, 0.0).form.widths for index in range(60)} == {
        (first, 7, third) for first in (4, 5) for third in (8, 9)
    }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pool": ["base", "bases"]}, "unknown learner 'bases'; did you mean 'base'"),
        ({"norms": ["bach"]}, "unknown norm 'bach'"),
        ({"activations": ["rely"]}, "unknown activation 'rely'"),
        ({"width_scale": [2.0, 1.0]}, r"needs a range \[low, high\], got \[2.0, 1.0\]"),
        ({"random_widths": [[4, 8]]}, "needs 3 ranges"),
        ({"pool": ["base"], "random_widths": [[4, 8]]}, "for a single learner"),
        (
            {"pool": ["sampled", "sampled4"], "side_by_side": 2},
            "cannot be used with sampled, sampled4, whose learners are",
        ),
        ({"architecture": "nas:nb201-small", "side_by_side": 2}, "set outer.accumulate instead"),
    ],
)
def test_invalid_pool_settings_are_rejected(settings, words):
    with pytest.raises(UsageError, match=words):
        pool_families(resolve_config("digits", "paper", {"learner": settings}).learner)


@pytest.mark.parametrize("kind", ["norm", "activation"])
def test_every_norm_and_activation_can_be_drawn(kind):
    registry = NORMS if kind == "norm" else ACTIVATIONS
    for name in registry:
        learner, phi = make(LearnerConfig(architecture="base_fc:4,4,4", **{f"{kind}s": (name,)})).draw(0, 0.0)
        assert torch.isfinite(learner.apply(phi, torch.randn(5, 1, 8, 8))[0]).all()


def test_widest_form_bounds_drawn_learners():
    pool = make(MIXED)
    for index in range(100):
        member = pool.member(index, 0.0)
        bound = widest(member.family, MIXED)
        assert all(w <= most for w, most in zip(member.form.widths, bound.widths, strict=True))
        assert member.form.depth <= bound.depth


def test_random_widths_stay_in_range():
    for name in LEARNERS:
        family = architecture(name)
        pool = make(LearnerConfig(architecture=name))
        for index in range(20):
            widths = pool.member(index, 0.0).form.widths
            assert all(low <= w < high for w, (low, high) in zip(widths, family.random_widths, strict=True))


def test_architecture_setting_replaces_preset_pool_and_judges():
    fast = resolve_config("mnist", "fast")
    assert len(fast.learner.pool) > 5
    assert len(fast.validation.architectures) > 1
    other = resolve_config("mnist", "fast", {"learner": {"architecture": "lenet"}})
    assert other.learner == LearnerConfig(architecture="lenet")
    assert other.validation.architectures == ()
    kept = resolve_config("mnist", "fast", {"learner": {"width_scale": [1.0, 1.0]}})
    assert kept.learner.pool == fast.learner.pool


def test_learners_with_random_operations_are_not_batched():
    pool = make(dataclasses.replace(MIXED, side_by_side=3))
    shapes = {pool.member(index, 0.0).family.drawn: pool.draw(index, 0.0)[1].shape for index in range(12)}
    assert len(shapes[True]) == 1
    assert shapes[False][0] == 3


@pytest.mark.parametrize(("name", "same"), [("base_fc:4,5,6", True), ("sampled:4,depth=3", False)])
def test_compiled_learner_is_reused_only_for_same_function(name, same):
    settings = LearnerConfig(architecture=name)
    plan = StepPlan(execution="compiled")
    pool = LearnerPool(settings, pool_families(settings), TASKS["digits"], Streams(0), plan, torch.device("cpu"))
    learners = [pool.draw(index, 0.0) for index in range(6)]
    assert all((learner is learners[0][0]) == same for learner, _ in learners[1:])
    for learner, phi in learners:
        assert learner.size == len(phi)
