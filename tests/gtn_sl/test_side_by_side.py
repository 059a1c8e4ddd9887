"""S learners as one batched network: steps and meta-gradients match those of single learners, in float64."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from gtn_core.inner_optim import inner_optimizer
from gtn_core.planning.execution import EagerCalls, PreparedCalls, traced
from gtn_core.planning.plan import StepPlan
from gtn_core.run_folder import RunFolder
from gtn_core.second_order import first_order, second_order
from gtn_core.seeding import Streams
from gtn_core.unroll import InnerLoop, meta_gradient
from gtn_sl.bench import random_data
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS
from gtn_sl.job import SupervisedJob
from gtn_sl.learners import LEARNERS, architecture
from gtn_sl.learners.pool import LearnerConfig, LearnerPool, pool_families
from gtn_sl.losses import inner_loss, real_loss
from gtn_sl.teacher import seeded_teacher

S, BATCH = 3, 6
DIGITS = TASKS["digits"]
ONE_FUNCTION = [name for name in sorted(LEARNERS) if not architecture(name).drawn]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch(seed=0):
    return drawn(BATCH, *DIGITS.image_shape, seed=seed), drawn(BATCH, DIGITS.classes, seed=seed + 1).softmax(-1)


def crowd(name, plan):
    pool = LearnerConfig(architecture=name, side_by_side=S)
    learners = LearnerPool(pool, pool_families(pool), DIGITS, Streams(0), plan, torch.device("cpu"))
    learner, phi = learners.draw(0, 0.0)
    return learner, phi.double()


def narrow(name):
    family = architecture(name)
    settings = [str(min(4, width)) for width in family.form.widths]
    settings += [f"depth={family.form.depth}"] if family.depths else []
    return f"{name}:{','.join(settings)}" if settings else name


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("name", ONE_FUNCTION)
def test_batched_step_matches_single_learners(name, layout):
    plan = StepPlan(layout=layout)
    learner, phi = crowd(narrow(name), plan)
    loss, one = inner_loss(learner, plan), batch()
    assert phi.shape == (S, learner.size)
    assert not torch.equal(phi[0], phi[1])
    together = first_order(loss, phi, one)
    alone = [first_order(loss, single, one) for single in phi]
    torch.testing.assert_close(together.loss, sum(step.loss for step in alone), rtol=1e-12, atol=0)
    torch.testing.assert_close(together.grad, torch.stack([step.grad for step in alone]), rtol=1e-9, atol=1e-12)
    for index, statistic in enumerate(together.statistics):
        torch.testing.assert_close(statistic, torch.stack([step.statistics[index] for step in alone]))
    u, w = drawn(*phi.shape, seed=2), tuple(drawn(*s.shape, seed=3) for s in together.statistics)
    for backend in ("reverse", "forward"):
        by_phi, by_batch = second_order(loss, phi, one, u, w, backend=backend)
        apart = [second_order(loss, phi[i], one, u[i], tuple(s[i] for s in w), backend=backend) for i in range(S)]
        torch.testing.assert_close(by_phi, torch.stack([single for single, _ in apart]), rtol=1e-8, atol=1e-10)
        for index, part in enumerate(by_batch):
            torch.testing.assert_close(part, sum(single[index] for _, single in apart), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("fan_in", [0, 8])
@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_batched_meta_gradient_is_mean_over_learners(optimizer, fan_in):
    plan = StepPlan()
    learner, phi = crowd("base_fc:3,4,5", plan)
    batches = [batch(10 * t) for t in range(3)]
    lr, momentum = torch.tensor([0.03, 0.02, 0.01]).double(), torch.tensor([0.5, 0.7, 0.6]).double()
    images, labels = drawn(7, *DIGITS.image_shape, seed=5), torch.arange(7)

    def judge(phi, statistics, steps):
        logits, _ = learner.apply(phi, images, statistics)
        return F.cross_entropy(logits.flatten(0, -2), labels.expand(logits.shape[:-1]).flatten())

    def gradients(phi):
        bound = inner_optimizer(optimizer, 1e-3, fan_in).bind(learner, phi)
        by_batch = {}
        loop = InnerLoop(inner_loss(learner, plan), bound, phi, lambda t, progress: batches[t], lr, momentum)
        result = meta_gradient(loop, judge, {2: 0.5, 3: 1.0}, lambda t, progress, by: by_batch.update({t: by}))
        parts = [part for t in range(3) for part in by_batch[t]]
        return [result.meta_loss, result.losses, result.lr, result.momentum, *parts], result.phi

    together, by_phi = gradients(phi)
    alone = [gradients(single) for single in phi]
    for one, parts in zip(together, zip(*[values for values, _ in alone], strict=True), strict=True):
        torch.testing.assert_close(one, sum(parts) / S, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(by_phi, torch.stack([single for _, single in alone]) / S, rtol=1e-9, atol=1e-12)


def test_traced_batched_step_matches_eager_step():
    learner, phi = crowd("base_fc:3,4,5", StepPlan())
    loss, one = inner_loss(learner, StepPlan()), batch()
    eager, prepared = EagerCalls(loss), PreparedCalls(loss, traced)
    expected, step = eager.first(phi, one), prepared.first(phi, one)
    torch.testing.assert_close(step.grad, expected.grad, rtol=1e-9, atol=1e-12)
    w = tuple(torch.ones_like(s) for s in step.statistics)
    for a, b in zip(
        *(calls.second(phi, one, phi, w, None, "reverse", None)[1] for calls in (prepared, eager)), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_first_batched_learner_equals_single_draw():
    pool = LearnerConfig(architecture="base_fc:4,5,6")
    alone, together = (
        LearnerPool(settings, pool_families(settings), DIGITS, Streams(3), StepPlan(), torch.device("cpu")).draw(
            7, 0.0
        )[1]
        for settings in (pool, dataclasses.replace(pool, side_by_side=S))
    )
    assert torch.equal(together[0], alone)


def test_job_meta_loss_is_mean_over_batched_learners():
    layers = {"learner": {"architecture": "base_fc:4,5,6", "side_by_side": S}, "inner": {"steps": 2}}
    config = resolve_config("digits", "fast", {**layers, "outer": {"iterations": 1}})
    data, plan = random_data(DIGITS), StepPlan()
    teacher = seeded_teacher(config, DIGITS, 0)
    job = SupervisedJob(config, data, teacher, plan, RunFolder("unused"))
    episode = job.episode(0, 0.0)
    assert episode.phi.shape[0] == S
    learner, _ = job.pool.draw(0, 0.0)
    statistics = first_order(episode.loss, episode.phi, teacher.batch(0)).statistics
    apart = [
        real_loss(learner, plan)(episode.phi[i], tuple(s[i] for s in statistics), episode.meta_loss.batches[2])
        for i in range(S)
    ]
    together = episode.meta_loss(episode.phi, statistics, 2)
    torch.testing.assert_close(together, sum(apart) / S)
