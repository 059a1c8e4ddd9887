"""Presets: layers of settings by task and kind of environment, on top of the defaults of ``gtn_rl.config``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gtn_rl.natures import NATURES

Settings = Mapping[str, Any]
Preset = Callable[[str, bool], Settings]
"""``(kind of environment, whether it starts from a file)`` -> settings."""

HORIZON: Settings = {"limit_terminates": True, "regret": True}
"""An MDP whose greedy policy is optimal and whose values are small, so that a few noisy steps suffice to learn them."""


def _stages(kind: str, warm: Sequence[Settings], then: Sequence[Settings], *, sized: bool = False) -> list[Settings]:
    """Adds the stages that a kind needs besides evolution.

    An MDP's transitions are fitted once states are harvested, before agents train inside. The size of the reward is
    chosen last, unless it is given. The kind ``reward`` gets no stage ``scale``: its trials on the real task's own
    dynamics would cost too many real steps, as those of ``soften`` would.
    """
    fit = [{"name": "fit"}] if kind == "mdp" else []
    scale = [] if sized or kind == "reward" else [{"name": "scale"}]
    return [*warm, *fit, *then, *scale]


def _from_scratch(kind: str, started: bool) -> Settings:
    """Bilevel evolution alone: for tasks where even a poor agent's return distinguishes good candidates from bad ones.

    Initial states are spread evenly, so that agents that take few and small gradient steps learn from every entry, too.
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
    """Starts with the stage ``greedy``, or from a file: for tasks where agents in random environments learn nothing."""
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
    """The preset ``_warm`` with a search for a policy that can be learned, after the search for one that is good.

    The budget is in outer steps, so that a busy machine does not make a poorer environment.

    Args:
        kind: See ``Preset``.
        started: See ``Preset``.
        sigma: Initial noise of the stages ``greedy`` and ``distil``.
        steps: Outer steps of these two; 0 for ``distil`` leaves it out, and adds ``soften`` if ``gain`` is a range.
        validations: Number of validations of ``greedy``; of the policies validated, the one that agents learn best is
            kept.
        population: Population of both stages.
        shift: Shift of ``greedy``.
        gain: Range of gains of ``greedy``.
        sized: Whether the size of the reward is given; otherwise an environment ends with the stage ``scale``, without
            ``bilevel``.
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
    # Agents distinguish candidates more slowly than students do, so nothing follows in a bandit.
    evolved = kind == "reward" or (sized and (kind == "mdp" or started))
    budget = {"minutes": None, "iterations": 20}
    return {**_warm(kind, started), **budget, "stages": _stages(kind, warm, [bilevel] if evolved else [], sized=sized)}


def _narrow(kind: str, started: bool) -> Settings:
    """For tasks where one path leads to the goal and observations are small: many initial states, spread far around it.

    Agents see the task's own units. If an entry of the observation is as small as MountainCar's velocity, its weight is
    learned from states beyond those that the path visits. In an MDP, the value of every later state has to be learned
    from such observations, too, so episodes are as short as possible.
    """
    preset = _distilled(kind, started, sigma=(0.3, 0.2), steps=(600, 25), validations=6, sized=False)
    own = {"exploration": 0.1, "centres": 512, "jitter": 2.0, **_sized(0.5, started)}
    short = {"episode_steps": 2} if kind == "mdp" else {}
    return {**preset, "environment": {**preset["environment"], **own, **short}, "agents": {"validation_seeds": 6}}


def _sized(reward_scale: float, started: bool) -> Settings:
    """Sets the size of a reward that is trained from scratch; one from a file already has a size."""
    return {} if started else {"reward_scale": reward_scale}


def _wide(kind: str, started: bool) -> Settings:
    """For continuous actions that swing from bound to bound: a wide search, then a long one for what can be learned.

    Initial states are many, widely spread, and not mostly those where the policy comes to rest. A small reward keeps
    TD3's critics small, and so the gradient norm by which PPO clips its actor and critic together.
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
    """For bodies that learn to run: a linear policy, found with one episode per candidate, and easy to learn.

    Initial states are many and spread like the policy's: an agent that makes mistakes soon meets others than the policy
    does.

    Args:
        kind: See ``Preset``.
        started: See ``Preset``.
        steps: See ``_distilled``.
        bonus: Reward that the task pays for each step alive.
        gain: See ``_distilled``.
        states: Number of centres and jitter of the initial states; a smooth policy is learned best from many states
            close to its own.
        mdp: Steps of an MDP's episodes, and the size of its reward as a multiple of a bandit's.
    """
    preset = _distilled(kind, started, sigma=(0.1, 0.05), steps=steps, population=32, shift=bonus, gain=gain)
    own = {"hidden": [], "centres": states[0], "jitter": states[1], "spread": "policy"}
    if kind == "mdp":
        own |= {"episode_steps": mdp[0], "reward_scale": mdp[1]}
    agents = {"names": ["ppo", "td3"], "episodes": 1, "validation_seeds": 2, "validation_episodes": 4}
    return {**preset, "environment": {**preset["environment"], **own}, "agents": agents}


def _modelled(
    kind: str,
    started: bool,
    *,
    terminates: bool = True,
    sized: bool = False,
    judges: Sequence[str] = (),
    harvest: tuple[int, int | None] = (64, None),
) -> Settings:
    """For MDPs with a fitted reward: models of the real task, in which agents learn what they would learn there.

    Episodes start in states that a random policy meets, and are short enough for the errors of their steps not to add
    up.

    Args:
        kind: See ``Preset``.
        started: See ``Preset``.
        terminates: Whether the task has terminations to fit.
        sized: Whether the reward keeps the real one's size; otherwise, the stage ``scale`` chooses it.
        judges: Kinds of agents that judge the MDP; none for the batched ones.
        harvest: Number of the random policy's episodes, and of the first steps of each that initial states are taken
            from (``None``: all).
    """
    return {
        "environment": {
            "kind": kind,
            "reward_mode": "fitted",
            "hidden": [64, 64],
            "transition_hidden": [64, 64],
            "termination": terminates,
            "episode_steps": 50,
            "centres": 2048,
            "jitter": 0.01,  # states between those of the task may have no meaning
            "harvest_episodes": harvest[0],
            "harvest_steps": harvest[1],
        },
        "agents": {"validation_seeds": 1 if judges else 3, "judges": judges},
        "stages": _stages(kind, [], [{"name": "judge"}] if sized else [], sized=sized),
        "minutes": 10.0,  # of stages that the user adds: none of these is an outer loop
    }


GENERAL: Preset = _warm
"""The preset of tasks that have none of their own."""

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

MODELS: Mapping[str, Preset] = {
    "Pendulum-v1": functools.partial(_modelled, terminates=False, sized=True, judges=["sb3-sac"], harvest=(256, 8))
}
"""The presets of fitted rewards that differ from the general one; these tasks' MDPs have a fitted reward by default."""


def preset_of(preset: str, task: str, environment: Mapping[str, Any]) -> Settings:
    """Returns the settings of a preset for a task.

    Args:
        preset: A name in ``PRESETS``; models of a task are the same in all.
        task: A Gymnasium id.
        environment: The user's own settings of the environment, some of which decide which others suit them.
    """
    kind, started, name = environment.get("kind", "mdp"), environment.get("start") is not None, task.rpartition(":")[2]
    modelled = kind == "mdp" and not started and name in MODELS
    mode = environment.get("reward_mode", "fitted" if modelled else "state-action")
    if mode == "fitted" and kind == "mdp":
        return MODELS.get(name, _modelled)(kind, started)
    settings = PRESETS[preset].get(name, GENERAL)(kind, started)
    if mode == "potential":
        stages = [stage for stage in settings["stages"] if not NATURES[stage["name"]].plays_greedy]
        return {**settings, "stages": stages}
    return settings
