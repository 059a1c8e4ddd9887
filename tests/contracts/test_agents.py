"""What must hold for every inner agent of the registry, on every kind of environment that takes it."""

import dataclasses

import numpy as np
import pytest
import torch

from gtn_rl.agents import AGENTS
from gtn_rl.agents.protocol import denormalise
from gtn_rl.judging import Greedy
from gtn_rl.model import EnvironmentTeacher
from gtn_rl.tasks import make_task

TASKS = ["CartPole-v1", "Pendulum-v1"]


def environment(task, kind):
    d, mdp = task.spec.observation_size, kind == "mdp"
    torch.manual_seed(0)
    return EnvironmentTeacher(
        task.spec,
        torch.zeros(d),
        torch.ones(d),
        0.5 * torch.randn(16, d),
        seed=1,
        hidden=(8,),
        transition_hidden=(8,) if mdp else None,
        max_episode_steps=5 if mdp else 1,
    )


def agents(spec):
    return [name for name, family in AGENTS.items() if family.fits(spec)]


def small(family, spec):
    """Returns an agent with hyper-parameters as drawn, and few updates."""
    agent = family.draw(spec, np.random.default_rng(0))
    fewer = {"updates": 12} if hasattr(agent, "updates") else {"rollouts": 1, "epochs": 1}
    return dataclasses.replace(agent, **fewer)


@pytest.mark.parametrize("kind", ["bandit", "mdp"])
@pytest.mark.parametrize("id", TASKS)
def test_members_train_apart_and_alike(id, kind):
    """A member's policy depends on its own environment alone, and training is a function of the generator."""
    task = make_task(id)
    teacher = environment(task, kind)
    theta = teacher.theta()
    other = theta + 0.5 * torch.randn(len(theta))
    observations = torch.randn(1, 6, task.spec.observation_size)
    assert agents(task.spec)
    for name in agents(task.spec):
        agent = small(AGENTS[name], task.spec)

        def outputs(*thetas, agent=agent):
            model = teacher.variants(torch.stack(thetas))
            policies = agent.train(model, torch.Generator().manual_seed(3))
            return policies.outputs(observations.expand(len(thetas), -1, -1)).detach()

        pair = outputs(theta, other)
        torch.testing.assert_close(outputs(other, theta).flip(0), pair, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(pair[0], pair[1], atol=1e-6), name


@pytest.mark.parametrize("id", TASKS)
@pytest.mark.slow
def test_agents_learn_what_the_reward_says(id):
    """In a bandit the best policy is known: the reward's own. Every agent comes close to it."""
    task = make_task(id)
    teacher = environment(task, "bandit")
    with torch.no_grad():
        teacher.reward[-2].mul_(4)  # targets from one bound to the other
    model = teacher.model()
    x = model.initial(400, torch.Generator().manual_seed(9))
    seen = model.observe(x)
    best = Greedy().train(model, torch.Generator()).act(seen)
    for name in agents(task.spec):
        agent = AGENTS[name].draw(task.spec, np.random.default_rng(1))
        policies = agent.train(model, torch.Generator().manual_seed(0))
        acted = policies.act(seen)
        if task.spec.discrete:
            assert (acted == best).float().mean() > 0.8, name
        else:
            far = denormalise(task.spec, torch.zeros(1, 1, task.spec.action_size))
            assert (acted - best).abs().mean() < 0.5 * (best - far).abs().mean(), name


@pytest.mark.parametrize("id", TASKS)
def test_hyper_parameters_vary_and_the_usual_ones_do_not(id):
    spec = make_task(id).spec
    for name in agents(spec):
        family = AGENTS[name]
        random = np.random.default_rng(0)
        assert len({str(family.draw(spec, random)) for _ in range(5)}) > 1
        assert family.usual(spec) == family.usual(spec)
