"""The contract of every registered inner agent, on every kind of environment."""

import dataclasses

import numpy as np
import pytest
import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from gtn_rl.agents import AGENTS
from gtn_rl.agents.named import families
from gtn_rl.agents.sb3 import SB3Agent
from gtn_rl.fitness import Greedy
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.models.reward import RewardTeacher
from gtn_rl.models.variants import Transition
from gtn_rl.sb3.algorithms import ALGORITHMS
from gtn_rl.tasks import make_task
from gtn_rl.tasks.actions import denormalise

TASKS = ["CartPole-v1", "Pendulum-v1"]


def environment(task, kind):
    if kind in ("reward", "potential"):
        d, gamma = task.spec.observation_size, 0.9 if kind == "potential" else None
        states = torch.randn(16, d, generator=torch.Generator().manual_seed(0))
        return RewardTeacher(task, torch.zeros(d), torch.ones(d), states, seed=1, hidden=(8,), gamma=gamma)
    d, mdp = task.spec.observation_size, kind != "bandit"
    torch.manual_seed(0)
    return EnvironmentTeacher(
        task.spec,
        torch.zeros(d),
        torch.ones(d),
        0.5 * torch.randn(16, d),
        seed=1,
        hidden=(8,),
        transition_hidden=(8,) if mdp else None,
        termination_hidden=(8,) if kind == "ending mdp" else None,
        max_episode_steps=5 if mdp else 1,
    )


QUICK = {*(name for name in AGENTS if not name.startswith("sb3-")), "sb3-dqn", "sb3-td3"}
FITTING = [
    pytest.param(id, name, marks=[] if name in QUICK else pytest.mark.slow)
    for id in TASKS
    for name, family in AGENTS.items()
    if family.fits(make_task(id).spec)
]


def small(family, spec):
    """Returns an agent with hyper-parameters as drawn, and few updates."""
    agent = family.draw(spec, np.random.default_rng(0))
    if isinstance(agent, SB3Agent):
        # Their outputs are actions, which only large updates change visibly; off-policy ones learn from step 100 on.
        rate = 2.0 if agent.algorithm == "ars" else 0.03
        steps = 130 if issubclass(ALGORITHMS[agent.algorithm].load(), OffPolicyAlgorithm) else 160
        fewer = {"steps": steps, "arguments": {**agent.arguments, "learning_rate": rate}}
    else:
        fewer = {"updates": 12} if hasattr(agent, "updates") else {"rollouts": 1, "epochs": 1}
    return dataclasses.replace(agent, **fewer)


def outputs(agent, model, seed=3):
    """Trains an agent in all environments of a model; returns the policies' outputs for the same 40 observations."""
    observations = torch.randn(1, 40, model.spec.observation_size, generator=torch.Generator().manual_seed(0))
    policies = agent.train(model, torch.Generator().manual_seed(seed))
    return policies.outputs(observations.expand(model.size, -1, -1)).detach()


@pytest.mark.parametrize("kind", ["bandit", "mdp", "ending mdp", "reward", "potential"])
@pytest.mark.parametrize(("id", "name"), FITTING)
def test_members_train_independently_and_reproducibly(id, name, kind):
    """A member's policy depends on its own environment, not on its place; the same generator gives the same policy."""
    task = make_task(id)
    teacher, agent = environment(task, kind), small(AGENTS[name], task.spec)
    theta = teacher.theta()
    other = theta + 0.5 * torch.randn(len(theta), generator=torch.Generator().manual_seed(5))
    pair = outputs(agent, teacher.variants(torch.stack([theta, other])))
    assert pair.shape == (2, 40, task.spec.action_size)
    reverse = outputs(agent, teacher.variants(torch.stack([other, theta])))
    torch.testing.assert_close(reverse.flip(0), pair, atol=1e-5, rtol=1e-4)
    acts_alone = name.startswith("sb3-") and task.spec.discrete  # outputs are discrete actions, which may coincide
    assert acts_alone or not torch.allclose(pair[0], pair[1], atol=1e-6)


@pytest.mark.parametrize(("id", "name"), FITTING)
def test_candidates_share_randomness_and_judges_do_not(id, name):
    task = make_task(id)
    teacher, agent = environment(task, "bandit"), small(AGENTS[name], task.spec)
    compared = outputs(agent, teacher.variants(teacher.theta().repeat(2, 1)))
    torch.testing.assert_close(compared[0], compared[1], atol=1e-5, rtol=1e-4)
    judging = outputs(agent, teacher.model(2))
    assert not torch.allclose(judging[0], judging[1], atol=1e-3)


@pytest.mark.parametrize("id", TASKS)
@pytest.mark.slow
def test_agents_approach_greedy_policy_in_bandit(id):
    """In a bandit the best policy is known: it is greedy on the reward. Every batched agent comes close to it."""
    task = make_task(id)
    teacher = environment(task, "bandit")
    with torch.no_grad():
        teacher.reward[-2].mul_(4)  # spreads the best actions from one bound to the other
    model = teacher.model()
    x = model.initial(400, torch.Generator().manual_seed(9))
    seen = model.observe(x)
    best = Greedy().train(model, torch.Generator()).act(seen)
    for name, family in families((), task.spec, 1):  # transfer tests cover those of Stable-Baselines3
        agent = family.draw(task.spec, np.random.default_rng(1))
        agent = dataclasses.replace(agent, lr=3e-3)  # some drawn learning rates hardly move the agent
        policies = agent.train(model, torch.Generator().manual_seed(0))
        acted = policies.act(seen)
        if task.spec.discrete:
            assert (acted == best).float().mean() > 0.8, name
        else:
            far = denormalise(task.spec, torch.zeros(1, 1, task.spec.action_size))
            assert (acted - best).abs().mean() < 0.5 * (best - far).abs().mean(), name


class Crossroads:
    """One state with two exits: termination with reward 1, and truncation with reward 0.9, whose value is higher.

    Which action is which differs between the two variants. An agent that confuses termination and truncation learns the
    wrong action. The greater a continuous action, the likelier it takes the second exit, so that every action gives a
    gradient.
    """

    size, max_episode_steps, bandit, count = 2, 1, False, 0

    def __init__(self, spec):
        self.spec = spec

    def members(self, initial, generator):
        return initial(generator).repeat(2, 1).requires_grad_()

    def copies(self, count, generator, *, stagger=False):
        self.count, self.generator = count, generator
        return self

    def observations(self):
        return torch.full((2, self.count, self.spec.observation_size), 0.5)

    def step(self, actions):
        chance = 2 * torch.rand(self.count, generator=self.generator) - 1
        second = actions == 1 if self.spec.discrete else actions[..., 0] > chance
        terminated = second ^ torch.tensor([[False], [True]])
        return Transition(0.9 + 0.1 * terminated, terminated, ~terminated, self.observations())


@pytest.mark.slow
@pytest.mark.parametrize("id", TASKS)
def test_agents_bootstrap_on_truncation_but_not_on_termination(id):
    spec = make_task(id).spec
    for name, family in families((), spec, 1):
        draws = (family.draw(spec, np.random.default_rng(seed)) for seed in range(50))
        agent = next(agent for agent in draws if getattr(agent, "target_every", 0) <= 50)
        if name == "td3":  # drawn ones that learn fast may settle before their critics have learned
            agent = family.usual(spec)
        policies = agent.train(Crossroads(spec), torch.Generator().manual_seed(0))
        outputs = policies.outputs(torch.full((2, 1, spec.observation_size), 0.5))
        liking = outputs[:, 0, 1] - outputs[:, 0, 0] if spec.discrete else outputs[:, 0, 0]
        assert liking[0] < 0 < liking[1], name


@pytest.mark.parametrize(("id", "name"), FITTING)
def test_drawn_hyper_parameters_vary_and_usual_ones_do_not(id, name):
    spec, family = make_task(id).spec, AGENTS[name]
    random = np.random.default_rng(0)
    assert len({str(family.draw(spec, random)) for _ in range(5)}) > 1
    assert family.usual(spec) == family.usual(spec)
