"""Differentiable stages: meta-gradients against plain autograd, losses against sampling, and learning progress."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from gtn_core.config import resolve
from gtn_core.errors import UsageError
from gtn_core.estimators import SNES, Backprop, EstimatorConfig
from gtn_core.planning.plan import StepPlan
from gtn_core.seeding import Streams
from gtn_rl.agents.actor import ActorCritic
from gtn_rl.config import GradientConfig
from gtn_rl.gradient import FORMS, GradientJob
from gtn_rl.gradient.experience import Experience, gather
from gtn_rl.gradient.learners import Learners
from gtn_rl.gradient.policy_gradient import time_advantages
from gtn_rl.harvest import harvest
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.natures import NATURES
from gtn_rl.tasks import make_task
from gtn_rl.tasks.actions import normalise

CASES = [
    (name, id) for name in FORMS for id in ("CartPole-v1", "Pendulum-v1") if (name, id) != ("paper", "Pendulum-v1")
]
"""Differentiable stages, each with the tasks whose actions it accepts."""
SMALL = {"steps": 4, "learners": 3, "contexts": 5, "entropy": 0.02, "every": 2}


def job(name, id, parts=("reward", "scale", "initial"), double=False, **settings):
    """Returns a small job for a fresh bandit, with 2 real episodes per learner."""
    task, streams = make_task(id), Streams(7)
    d = task.spec.observation_size
    centres = 0.3 * torch.randn(8, d, generator=torch.Generator().manual_seed(0))
    environment = EnvironmentTeacher(task.spec, torch.zeros(d), torch.ones(d), centres, seed=0, hidden=(8,))
    environment.learn_only(parts)
    settings = resolve(GradientConfig, SMALL, settings)
    lessons = FORMS[name].lessons(environment.double() if double else environment, streams, settings)
    return GradientJob(FORMS[name], settings, task, lessons.double() if double else lessons, streams, 2, None, None)


def estimate(work, iteration, **plan):
    """Returns the gradient of every trained parameter, from the estimator that the stage uses, and the episode."""
    work.lessons.zero_grad()
    episode = work.episode(iteration, 0.0)
    Backprop(EstimatorConfig(plan=StepPlan(**plan))).estimate(work.lessons, episode)
    return [p.grad.clone() for p in work.lessons.trained()], episode


@pytest.mark.parametrize(("name", "id"), CASES)
@pytest.mark.parametrize("kept", [0, 4])
def test_meta_gradient_matches_plain_autograd(name, id, kept):
    """Both take the same real episodes, which depend on phi only through values that are not differentiated."""
    work = job(name, id, double=True)
    exact, _ = estimate(work, 3, keep_last_k=kept)
    episode = work.episode(3, 0.0)
    lr, momentum = work.lessons.schedule()
    phi, buffer, total = episode.phi.clone().requires_grad_(), 0.0, 0.0
    for t in range(episode.steps):
        loss, _ = episode.loss(phi, work.lessons.batch(t))
        (gradient,) = torch.autograd.grad(loss, phi, create_graph=True)
        buffer = momentum[t] * buffer + gradient
        phi = phi - lr[t] * buffer
        if t + 1 in episode.weights:
            total = total + episode.weights[t + 1] * episode.meta_loss(phi, (), t + 1)
    plain = torch.autograd.grad(total, work.lessons.trained(), allow_unused=True, materialize_grads=True)
    for ours, theirs in zip(exact, plain, strict=True):
        assert (ours - theirs).norm() <= 1e-10 * theirs.norm().clamp(min=1e-8)
    reached = sum(bool(theirs.abs().max() > 1e-12) for theirs in plain)
    assert reached >= len(plain) - 1  # with a single inner step, momentum has no effect


@pytest.mark.parametrize("part", ["reward", "scale", "initial"])
def test_only_meta_learned_parts_receive_gradients(part):
    work = job("meta-gradient", "CartPole-v1", parts=(part,))
    estimate(work, 0)
    parts = work.lessons.environment.parts().items()
    got = {name for name, parameters in parts if any(p.grad is not None for p in parameters)}
    assert got == {part}
    assert work.lessons.inner_schedule.log_lr.grad.abs().max() > 0


def test_contexts_vary_across_steps_and_learners_reproducibly():
    lessons = job("meta-gradient", "CartPole-v1").lessons
    lessons.draw(0)
    first, again, later = lessons.batch(0)[0], lessons.batch(0)[0], lessons.batch(1)[0]
    lessons.draw(1)
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first, lessons.batch(0)[0])
    assert not torch.equal(first[0], first[1])  # each learner sees its own contexts
    assert first.shape == (3, 5, 4)


def test_discrete_inner_loss_matches_sampled_reward():
    """Compares with the mean reward of 100,000 sampled actions, and with the entropy from torch's ``Categorical``."""
    work = job("meta-gradient", "CartPole-v1")
    episode = work.episode(0, 0.0)
    learners = Learners(ActorCritic.build(work.task.spec, (8,)), 3)
    loss = work.form.inner_loss(learners, work.settings)
    phi = 20 * learners.initial(torch.Generator().manual_seed(0))  # far from uniform
    observations, table = (part.detach() for part in work.lessons.batch(0))
    logits = learners.agents(phi).outputs(observations)
    policy = torch.distributions.Categorical(logits=logits)
    torch.manual_seed(0)
    actions = policy.sample((100_000,))  # (draws, S, n)
    rewards = table.expand(len(actions), -1, -1, -1).gather(3, actions.unsqueeze(3))
    expected = -rewards.mean(dim=(0, 2, 3)) - work.settings.entropy * policy.entropy().mean(dim=1)
    assert float(loss(phi, (observations, table))[0]) == pytest.approx(float(expected.sum()), abs=0.02)
    assert episode.steps == 4


def test_inner_loss_is_finite_for_equal_action_bounds():
    work = job("meta-gradient", "Pendulum-v1")
    spec = dataclasses.replace(work.task.spec, action_low=work.task.spec.action_high)
    learners = Learners(ActorCritic.build(spec, (8,)), 3)
    work.lessons.draw(0)
    batch = tuple(part.detach() for part in work.lessons.batch(0))
    phi = learners.initial(torch.Generator().manual_seed(0))
    assert work.form.inner_loss(learners, work.settings)(phi, batch)[0].isfinite()


def test_continuous_inner_loss_matches_sampled_reward():
    work = job("meta-gradient", "Pendulum-v1", entropy=0.0)
    learners = Learners(ActorCritic.build(work.task.spec, (8,)), 3)
    phi = learners.initial(torch.Generator().manual_seed(0))
    work.lessons.draw(0)
    observations, targets, scale = (part.detach() for part in work.lessons.batch(0))
    model = work.lessons.environment.model(3)
    x = (observations - model.mean) / model.std
    agents, generator = learners.agents(phi), torch.Generator().manual_seed(1)
    drawn = [
        model.rewards(x, normalise(work.task.spec, agents.sample(observations, generator, alike=False)))
        for _ in range(5_000)
    ]
    expected = -torch.stack(drawn).mean(dim=(0, 2)).sum()
    loss = work.form.inner_loss(learners, work.settings)(phi, (observations, targets, scale))[0]
    assert float(loss) == pytest.approx(float(expected), rel=0.02)


def test_returns_to_go_and_advantages_match_hand_computation():
    """Episodes of 3 and 2 steps, discount 0.5; the first is truncated, and the state after it has the value 8."""
    rewards = torch.tensor([[[1.0, 2.0, 4.0]], [[3.0, 1.0, 0.0]]], dtype=torch.float64)
    taken = torch.tensor([[[1.0, 1.0, 1.0]], [[1.0, 1.0, 0.0]]], dtype=torch.float64)
    blank = torch.zeros(2, 1, 3)
    ends = torch.tensor([[False], [True]])
    experience = Experience(blank.unsqueeze(3), blank.long(), rewards, taken, blank[:, :, :1], ends, rewards.sum(2))
    assert experience.returns_to_go(0.5).tolist() == [[[3.0, 4.0, 4.0]], [[3.5, 1.0, 0.0]]]
    beyond = torch.tensor([[8.0], [0.0]])
    assert experience.returns_to_go(0.5, beyond).tolist() == [[[4.0, 6.0, 8.0]], [[3.5, 1.0, 0.0]]]
    advantages = time_advantages(experience, 0.5)
    assert advantages.tolist()[0][0] == pytest.approx([-0.25 / 0.9618, 1.5 / 0.9618, 0.0], rel=1e-3)
    assert float((advantages.square() * taken).sum() / taken.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1"])
def test_gathered_experience_is_consistent_with_task_physics(id):
    """CartPole's returns are the lengths, and each pole falls at the end; Pendulum's speeds follow from its actions."""
    task = make_task(id)
    learners = Learners(ActorCritic.build(task.spec, (8,)), 3)
    phi = learners.initial(torch.Generator().manual_seed(0))
    seen = gather(task, learners, phi, 2, torch.Generator().manual_seed(1), np.random.default_rng(2))
    lengths = seen.taken.sum(dim=2).long()
    assert seen.observations.shape[:2] == (3, 2)
    assert seen.real_steps == int(lengths.sum())
    torch.testing.assert_close(seen.rewards.sum(dim=2), seen.returns)
    starts = seen.observations[:, :, 0].flatten(0, 1)
    assert len({tuple(start.tolist()) for start in starts}) == 6
    if task.spec.discrete:
        assert torch.equal(seen.returns.long(), lengths)
        assert set(seen.actions.unique().tolist()) == {0, 1}
        assert ((seen.last[..., 2].abs() > 0.2) | (seen.last[..., 0].abs() > 2.4)).all()  # every pole fell
    else:
        assert (lengths == 200).all()
        assert float(seen.actions.abs().max()) > 2  # unclipped
        speed = seen.observations[..., 2]
        angle = torch.atan2(seen.observations[..., 1], seen.observations[..., 0])
        torque = seen.actions[..., 0].clamp(-2, 2)
        after = (speed + (15 * angle.sin() + 3 * torque) * 0.05).clamp(-8, 8)
        torch.testing.assert_close(after[:, :, :-1], speed[:, :, 1:], atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "outer_steps"), [("meta-gradient", 20), ("paper", 60)])
def test_meta_training_raises_return_of_fresh_learners(name, outer_steps):
    """Return on CartPole; in the environment as it starts, learners learn to take the same action everywhere."""
    task, streams, settings = make_task("CartPole-v1"), Streams(0), GradientConfig()
    random = np.random.default_rng(0)
    gathered = harvest(task, 32, random)
    environment = EnvironmentTeacher(task.spec, *gathered.normalisation(), gathered.centres(64, random), seed=1)
    lessons = FORMS[name].lessons(environment, streams, settings)
    work = GradientJob(FORMS[name], settings, task, lessons, streams, 4, None, None)
    optimizer = torch.optim.Adam(lessons.trained(), lr=settings.lr)
    returns = []
    for iteration in range(outer_steps):
        optimizer.zero_grad()
        episode = work.episode(iteration, 0.0)
        Backprop(EstimatorConfig(plan=StepPlan(keep_last_k=lessons.steps))).estimate(lessons, episode)
        torch.nn.utils.clip_grad_norm_(lessons.trained(), settings.clip)
        optimizer.step()
        returns.append(episode.values["meta/fitness"])
    assert np.mean(returns[-5:]) > 1.5 * np.mean(returns[:5])


def test_gradient_episode_can_be_evaluated_by_evolution():
    """Fitness is the sampled return, so an evolution strategy can replace the meta-gradient."""
    work = job("meta-gradient", "CartPole-v1", every=0)
    _, episode = estimate(work, 0)
    theta, reached = work.lessons.theta(), episode.values["meta/fitness"]
    fitness = episode.fitness(work.lessons, torch.stack([theta, theta + 0.5 * torch.randn_like(theta)]))
    assert float(fitness[0]) == pytest.approx(reached)
    assert math.isfinite(float(fitness[1]))
    SNES(EstimatorConfig(population=4)).estimate(work.lessons, episode)
    assert all(p.grad is not None for p in work.lessons.trained())


def test_differentiable_stages_and_forms_have_the_same_names():
    assert {name for name, nature in NATURES.items() if nature.differentiates} == set(FORMS)


def test_momentum_out_of_range_is_rejected():
    with pytest.raises(UsageError, match=r"momentum.*less than 0.99"):
        resolve(GradientConfig, {"momentum": 1.0})
