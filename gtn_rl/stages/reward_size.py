"""The size of a learned reward: of a few, the one that serves agents best over a range of learning rates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from gtn_rl.agents import InnerAgent
from gtn_rl.judge import Judge, Panel, Verdict
from gtn_rl.models.teacher import LearnedTeacher

FACTORS = (0.2, 1.0, 0.1, 0.4, 0.05, 2.0)
"""Factors on the reward's size to try."""

RATES = {1.0: 2.0, 1 / 3: 0.5, 3.0: 0.5}
"""Factors on the usual learning rate, each with the number of agents, in multiples of a validation's. If a size serves
all rates, other agents can be trusted to learn with it, too; many agents at the usual rate are needed to show that it
sometimes fails."""


def try_sizes(teacher: LearnedTeacher, judge: Judge, factors: Sequence[float] = FACTORS) -> dict[float, Verdict]:
    """Judges a teacher with its reward multiplied by each factor, all of them at once.

    The length of an agent's gradient steps does not depend on the reward's size (Adam), or is clipped together with the
    critic's error (PPO, A2C), so a reward of the wrong size is learned late or never.

    Args:
        teacher: The teacher; left unchanged.
        judge: The judge, whose agents are tried at ``RATES``.
        factors: The factors.

    Returns:
        The verdict on each factor, in the order of ``factors``.
    """
    judge = dataclasses.replace(judge, choose=at_rates)
    verdicts = judge.each(lambda copies: teacher.model(copies, factors), len(factors))
    return dict(zip(factors, verdicts, strict=True))


def at_rates(agent: InnerAgent, seeds: int) -> Panel:
    """Returns an agent at each of ``RATES``, the usual rate first; an agent without a known ``lr``, only as it is."""
    if not dataclasses.is_dataclass(agent) or not hasattr(agent, "lr"):
        return ((agent, seeds),)
    rates = ((rate, math.ceil(share * seeds)) for rate, share in RATES.items())
    return [(dataclasses.replace(agent, lr=rate * agent.lr), count) for rate, count in rates]
