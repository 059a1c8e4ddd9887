"""The size of a learned reward: the one, of a few, that serves agents best over a range of learning rates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from gtn_rl.agents import InnerAgent
from gtn_rl.judge import Judge, Panel, Verdict
from gtn_rl.models.teacher import LearnedTeacher

FACTORS = (0.2, 1.0, 0.1, 0.4, 0.05, 2.0)
"""What the size is multiplied by."""

RATES = {1.0: 2.0, 1 / 3: 0.5, 3.0: 0.5}
"""Multiples of the usual learning rate, and how many agents of each judge, in shares of a validation's. Where a size serves all
rates, other agents may be trusted to learn with it, too; that the usual one fails now and then, only many of them show."""


def try_sizes(teacher: LearnedTeacher, judge: Judge, factors: Sequence[float] = FACTORS) -> dict[float, Verdict]:
    """Judges a teacher with its reward multiplied by each factor, all of them at once.

    An agent's gradient steps are as long whatever the reward's size is (Adam), or clipped to a length that its critic's error
    shares (PPO, A2C), so a reward of the wrong size is learned late or never.

    Args:
        teacher: Left as it was.
        judge: Its agents are tried at ``RATES``.
        factors: To multiply by.

    Returns:
        The verdict on each factor, in their order.
    """
    judge = dataclasses.replace(judge, choose=at_rates)
    verdicts = judge.each(lambda copies: teacher.model(copies, factors), len(factors))
    return dict(zip(factors, verdicts, strict=True))


def at_rates(agent: InnerAgent, seeds: int) -> Panel:
    """Returns an agent at each of ``RATES``, first the usual; one whose learning rate is not known to be ``lr`` as it is."""
    if not dataclasses.is_dataclass(agent) or not hasattr(agent, "lr"):
        return ((agent, seeds),)
    rates = ((rate, math.ceil(share * seeds)) for rate, share in RATES.items())
    return [(dataclasses.replace(agent, lr=rate * agent.lr), count) for rate, count in rates]
