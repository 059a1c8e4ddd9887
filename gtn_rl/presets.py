"""Presets: layers of settings per task and kind of environment, over the defaults of ``gtn_rl.config``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Settings = Mapping[str, Any]
Preset = Callable[[str, bool], Settings]
"""Kind of environment, and whether it starts from another's file -> settings."""

HORIZON: Settings = {"limit_terminates": True, "regret": True}
"""An MDP whose greedy policy is the best one, and whose values are small: few noisy steps suffice to learn them."""


def _stages(kind: str, warm: Sequence[Settings], then: Sequence[Settings], *, sized: bool = False) -> list[Settings]:
    """Adds what a kind needs beside evolution.

    An MDP's transitions are fitted once states are harvested, before agents train inside. The size of the reward is chosen
    last, unless it is told; trials on the real task's own dynamics would cost too many real steps, as the stage ``soften`` would.
    """
    fit = [{"name": "fit"}] if kind == "mdp" else []
    scale = [] if sized or kind == "reward" else [{"name": "scale"}]
    return [*warm, *fit, *then, *scale]


def _from_scratch(kind: str, started: bool) -> Settings:
    """Bi-level evolution alone: for tasks where even a poor agent's return tells good candidates from bad ones.

    Initial states are spread evenly, so that agents that take few and short gradient steps see every entry, too.
    """
    # Small enough to step faster than Gymnasium's own vectorised CartPole.
    small = {"hidden": [16], "transition_hidden": [16], "activation": "relu", **HORIZON}
    own = {"mdp": small, "bandit": {"regret": True}}
    return {
        "environment": {"kind": kind, "jitter": 0.5, "spread": "even", **own.get(kind, {})},
        "stages": _stages(kind, [], [{"name": "bilevel", "sigma": 0.1, "validations": 3}]),
        **({"minutes": 10.0} if kind == "reward" else {"iterations": 225 if kind == "bandit" else 172}),
    }


def _warm(kind: str, started: bool) -> Settings:
    """The greedy warm start first, unless it starts from a file: where an agent trained at random learns nothing at all."""
    greedy = {"name": "greedy", "sigma": 0.3, "validations": 6}
    bilevel = {"name": "bilevel", "sigma": 0.05, "validations": 5}
    own = {"mdp": {**HORIZON, "episode_steps": 3}, "reward": {"regret": True}}
    return {
        "environment": {"kind": kind, "jitter": 0.2, **own.get(kind, {})},
        "agents": {"validation_seeds": 3},
        "stages": _stages(kind, [] if started else [greedy], [bilevel]),
        "minutes": 10.0,
    }


def _distilled(
    kind: str,
    started: bool,
    *,
    sigma: tuple[float, float],
    steps: tuple[int, int],
    validations: int = 1,
    population: int = 64,
    shift: float = 0.0,
    gain: tuple[float, float] = (1.0, 1.0),
    sized: bool = True,
) -> Settings:
    """Warm, with a search for what can be learned after that for what is good.

    The budget is in outer steps, so that a busy machine does not make a poorer environment.

    Args:
        kind: As in ``Preset``.
        started: As there.
        sigma: Of the stages ``greedy`` and ``distil``.
        steps: Their outer steps; none of the second leave it out, and soften where gains differ.
        validations: Of ``greedy``, of whose policies the one that agents learn best is kept.
        population: Of both.
        shift: Of ``greedy``.
        gain: Of ``greedy``.
        sized: Whether the size of the reward is told; else the stage ``scale`` ends an environment's, without ``bilevel``.
    """
    greedy = {
        "name": "greedy",
        "sigma": sigma[0],
        "validations": validations,
        "iterations": steps[0],
        "shift": shift,
        "gain": gain,
    }
    distil = {
        "name": "distil",
        "sigma": sigma[1],
        "validations": max(2, steps[1] // 40),
        "iterations": steps[1],
        "parts": ["reward"],
        "share": 3.0,
    }
    greedy, distil = ({**stage, "population": population} for stage in (greedy, distil))
    bilevel = {"name": "bilevel", "sigma": 0.05, "validations": 2, "population": 32}
    soften: list[Settings] = [] if gain == (1.0, 1.0) else [{"name": "soften"}]
    learnable: list[Settings] = [distil] if steps[1] else soften
    warm: list[Settings] = [] if started else [greedy] if kind == "reward" else [greedy, *learnable]
    # Agents tell candidates apart more slowly than students, so nothing follows in a bandit.
    evolved = kind == "reward" or (sized and (kind == "mdp" or started))
    budget = {"minutes": None, "iterations": 20}
    return {**_warm(kind, started), **budget, "stages": _stages(kind, warm, [bilevel] if evolved else [], sized=sized)}


def _narrow(kind: str, started: bool) -> Settings:
    """For tasks where one path leads to the goal and observations are small: many initial states, spread far around it.

    Agents see the task's own units. Where an entry of the observation is as small as MountainCar's velocity, states beyond those
    that the path visits are the ones that its weight can be learned from. Every state that follows on another has a value to be
    learned from such observations, too, so that the episodes of an MDP are as short as can be.
    """
    preset = _distilled(kind, started, sigma=(0.3, 0.2), steps=(600, 25), validations=6, sized=False)
    own = {"exploration": 0.1, "centres": 512, "jitter": 2.0, **_sized(0.5, started)}
    short = {"episode_steps": 2} if kind == "mdp" else {}
    return {**preset, "environment": {**preset["environment"], **own, **short}, "agents": {"validation_seeds": 6}}


def _sized(reward_scale: float, started: bool) -> Settings:
    """Settles the size of a reward that starts anew; one of a file has that already."""
    return {} if started else {"reward_scale": reward_scale}


def _wide(kind: str, started: bool) -> Settings:
    """For continuous actions that swing from bound to bound: a far-reaching search, then a long one for what can be learned.

    Initial states are many, wide, and not mostly those where the policy comes to rest; a small reward leaves TD3's critics and
    the gradient that PPO's actor shares with its critic small.
    """
    preset = _distilled(kind, started, sigma=(1.0, 0.2), steps=(900, 500))
    own = {"jitter": 0.3, "centres": 512, "harvest_steps": 80, **_sized(0.37, started)}
    return {**preset, "environment": {**preset["environment"], **own}}


def _walker(
    kind: str,
    started: bool,
    *,
    steps: tuple[int, int],
    bonus: float = 0.0,
    gain: tuple[float, float] = (1.0, 1.0),
    states: tuple[int, float] = (512, 0.3),
    mdp: tuple[int, float] = (3, 1.0),
) -> Settings:
    """For bodies that learn to run: a linear policy, which a search of few and single episodes finds and agents learn easily.

    Initial states are many and spread as the policy's are: an agent that errs soon meets others than the policy does.

    Args:
        kind: As in ``Preset``.
        started: As there.
        steps: As of ``_distilled``.
        bonus: What the task pays for each step alive.
        gain: As of ``_distilled``.
        states: Centres and jitter of initial states; a policy that is smooth is learned best in many that lie close to its own.
        mdp: Steps of an MDP's episodes, and the size of its reward in multiples of a bandit's.
    """
    preset = _distilled(kind, started, sigma=(0.1, 0.05), steps=steps, population=32, shift=bonus, gain=gain)
    own = {"hidden": [], "centres": states[0], "jitter": states[1], "spread": "policy"}
    if kind == "mdp":
        own |= {"episode_steps": mdp[0], "reward_scale": mdp[1]}
    agents = {"names": ["ppo", "td3"], "episodes": 1, "validation_seeds": 2, "validation_episodes": 4}
    return {**preset, "environment": {**preset["environment"], **own}, "agents": agents}


GENERAL: Preset = _warm
"""What a task without a preset of its own starts from."""

PRESETS: dict[str, dict[str, Preset]] = {
    "fast": {
        "CartPole-v1": _from_scratch,
        "Acrobot-v1": _warm,
        "MountainCar-v0": _narrow,
        "Pendulum-v1": _wide,
        "LunarLander-v3": _warm,
        "HalfCheetah-v5": functools.partial(
            _walker, steps=(462, 0), gain=(0.35, 1.0), states=(4096, 0.1), mdp=(2, 0.2)
        ),
        "Hopper-v5": functools.partial(_walker, steps=(250, 160), bonus=1.0, gain=(0.35, 1.0), states=(2048, 0.2)),
    }
}
