"""Validation by fresh agents: several environments at once, panels of agents, episode lengths, and divergence."""

import dataclasses

import pytest
import torch

from gtn_core.config import parse_assignments
from gtn_core.errors import DivergedError
from gtn_core.seeding import Streams
from gtn_rl.agents import AGENTS
from gtn_rl.config import resolve_config
from gtn_rl.fitness import Greedy, episode_lengths, real_returns
from gtn_rl.judge import Judge
from gtn_rl.models.reward import RewardTeacher
from gtn_rl.tasks.actions import normalise

KIND = {"CartPole-v1": "dqn", "Pendulum-v1": "td3"}
SIZES = (1.0, 0.2, 30.0)


def brief(agent, updates=40):
    return dataclasses.replace(agent, updates=updates, lr=3e-3)


def short(agent, seeds):
    return [(brief(agent), seeds)]


def short_and_shorter(agent, seeds):
    return [(brief(agent), seeds), (brief(agent, updates=1), 3 * seeds)]


def shorter(agent, seeds):
    return [(brief(agent, updates=1), 3 * seeds)]


@pytest.fixture
def judge(task):
    """A judge with two agents, each evaluated on three real episodes."""
    few = [f"agents.names=[{KIND[task.spec.id]}]", "agents.validation_seeds=2", "agents.validation_episodes=3"]
    told = resolve_config(task.spec.id, "fast", parse_assignments(["environment.kind=bandit", *few]))
    return Judge(told, task, Streams(0), choose=short)


def test_joint_validation_matches_separate_validations(judge, task, make_teacher):
    teacher = make_teacher(task, "mdp")
    at_once = judge.each(lambda copies: teacher.model(copies, SIZES), len(SIZES))
    alone = [judge.each(lambda copies, size=size: teacher.model(copies, [size]), 1)[0] for size in SIZES]
    scores = [verdict.all.score for verdict in at_once]
    assert scores == pytest.approx([verdict.all.score for verdict in alone], rel=0.02)
    assert len(set(scores)) == len(SIZES)
    for together, single in zip(at_once, alone, strict=True):
        for tag in ("real/{}_minimum", "inner/episode_length"):
            tag = tag.format(KIND[task.spec.id])
            assert together.all.metrics[tag] == pytest.approx(single.all.metrics[tag], rel=0.02)
    steps = [sum(verdict.all.metrics["cost/real_steps"] for verdict in verdicts) for verdicts in (at_once, alone)]
    assert steps[0] == pytest.approx(steps[1], rel=0.02)


def test_episode_length_averages_first_episode_of_each_copy(task, make_teacher):
    teacher = make_teacher(task, "ending mdp")
    ends_often, ends_seldom, ends_never = (teacher.theta().clone() for _ in range(3))
    ends_seldom[-1], ends_never[-1] = -0.5, -9.0  # the last bias of the termination network
    model = teacher.variants(torch.stack([ends_often, ends_seldom, ends_never]))
    policies = Greedy().train(model, torch.Generator())
    copies = model.copies(64, torch.Generator().manual_seed(4))
    first = torch.zeros(3, 64)
    for step in range(1, model.max_episode_steps + 1):
        actions = policies.act(copies.observations())
        ended = copies.step(actions if task.spec.discrete else normalise(task.spec, actions)).ended
        first[(first == 0) & ended] = step
    found = episode_lengths(model, policies, torch.Generator().manual_seed(4))
    torch.testing.assert_close(found, first.mean(dim=1))
    assert found[0] < found[2] == model.max_episode_steps


@pytest.mark.parametrize("task", ["CartPole-v1"], indirect=True)
def test_episode_lengths_of_learned_rewards_are_their_own(judge, task):
    """An agent of a learned reward steps the real task; in CartPole, an episode's return is its length."""
    states = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    teacher = RewardTeacher(task, torch.zeros(4), torch.ones(4), states, seed=0)
    verdicts = judge.each(lambda copies: teacher.model(copies, SIZES), len(SIZES))
    lengths = [verdict.all.metrics["inner/episode_length"] for verdict in verdicts]
    assert lengths == pytest.approx([verdict.all.score for verdict in verdicts])
    assert len(set(lengths)) == len(SIZES)


def test_verdict_separates_usual_agent_from_mean_over_all(judge, task, make_teacher):
    teacher = make_teacher(task, "bandit")
    (usual,), (others,), (both,) = (
        dataclasses.replace(judge, choose=choose).each(teacher.model, 1)
        for choose in (short, shorter, short_and_shorter)
    )
    assert both.usual.score == usual.all.score != others.all.score
    assert both.all.score == pytest.approx((usual.all.score + 3 * others.all.score) / 4)


@dataclasses.dataclass(frozen=True)
class Diverging:
    """Agents of which the first ones, a share of all, take NaN actions; Pendulum returns NaN rewards for them."""

    agent: object
    share: float

    def train(self, variants, generator):
        policies = self.agent.train(variants, generator)
        lost = torch.arange(variants.size).view(-1, 1, 1) < self.share * variants.size

        def outputs(observations):
            return policies.outputs(observations).masked_fill(lost, float("nan"))

        return dataclasses.replace(policies, outputs=outputs)


@pytest.fixture
def diverging(judge):
    """Returns a function: share of agents that diverge -> the judge with such agents."""

    def build(share):
        return dataclasses.replace(judge, choose=lambda agent, seeds: [(Diverging(brief(agent), share), seeds)])

    return build


@pytest.mark.parametrize("task", ["Pendulum-v1"], indirect=True)
def test_diverged_agents_count_as_worst_episode(judge, diverging, task, make_teacher):
    teacher = make_teacher(task, "bandit")
    assert diverging(0.0)(teacher.model).score == judge(teacher.model).score
    policies = brief(AGENTS["td3"].usual(task.spec)).train(teacher.model(2), judge.streams.torch("validation-td3"))
    returns, _ = real_returns(task, policies, 2, 3, judge.streams.numpy("validation-episodes-td3"))
    found = diverging(0.5)(teacher.model)
    worst = float(returns[1].min())
    assert found.metrics["real/td3_minimum"] == pytest.approx(worst)
    assert found.score == pytest.approx((worst + float(returns[1].mean())) / 2)


@pytest.mark.parametrize("task", ["Pendulum-v1"], indirect=True)
def test_validation_without_finite_return_raises(diverging, task, make_teacher):
    with pytest.raises(DivergedError, match="no agent of td3 has a finite return"):
        diverging(1.0)(make_teacher(task, "bandit").model)
