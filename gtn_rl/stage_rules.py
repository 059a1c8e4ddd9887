"""Which stages go with which kind of environment, and why others do not."""

from __future__ import annotations

from collections.abc import Sequence

from gtn_core.errors import UsageError
from gtn_rl.config import DIFFERENTIABLE, UNBUDGETED, EnvironmentConfig, StageConfig

ENDS = {
    "bandit": "every step of a bandit ends an episode",
    "reward": "the real task ends its own episodes",
}
"""Why a kind has no termination network."""

TAUGHT = ("reward", "initial")
"""The parts of an environment that differentiable stages reach; they run no others."""

DYNAMICS = {
    "bandit": "a bandit has no transitions",
    "reward": "a reward leaves the real task's transitions as they are",
}
"""Why a kind has no dynamics to fit."""


def refuse_nonsense(environment: EnvironmentConfig, stages: Sequence[StageConfig]) -> None:
    """Checks that every stage has what it works on.

    Raises:
        UsageError: One has not, or the settings of the environment contradict one another.
    """
    kind, names = environment.kind, [stage.name for stage in stages]
    if environment.termination and kind != "mdp":
        raise UsageError(f"environment.termination is for an mdp: {ENDS[kind]}")
    if environment.reward_mode == "potential" and kind != "reward":
        raise UsageError(f"environment.reward_mode=potential needs a real reward to be added to; the {kind} has none")
    if environment.reward_mode == "potential" and environment.start is not None:
        raise UsageError("a potential cannot start from a reward of actions: environment.start is for the other modes")
    if "fit" in names and kind != "mdp":
        raise UsageError(f"{DYNAMICS[kind]}, so no stage fit")
    if "fit" not in names and kind == "mdp":
        raise UsageError("an mdp needs the stage fit for its dynamics")
    if kind == "mdp" and environment.harvest_episodes < 2:
        raise UsageError(
            "an mdp needs environment.harvest_episodes of 2 or more: its dynamics are judged by those left out"
        )
    if "greedy" in names and environment.reward_mode == "potential":
        raise UsageError(
            "a potential says nothing of actions, so it has no greedy policy for the stage greedy to evolve"
        )
    if "distil" in names and kind == "reward":
        raise UsageError("the stage distil needs contexts to learn in, and a reward has none; take greedy and bilevel")
    if set(names) <= set(UNBUDGETED) and environment.start is None:
        raise UsageError(f"the stage {names[0]} alone makes no reward; add greedy, bilevel or meta-gradient")
    if set(names) == {"fit"}:
        raise UsageError("the stage fit alone leaves the environment unjudged; add scale or bilevel")
    for stage in stages:
        _refuse_missing_parts(environment, stage)
        if stage.name in DIFFERENTIABLE:
            _refuse_undifferentiable(environment, stage)


def _refuse_missing_parts(environment: EnvironmentConfig, stage: StageConfig) -> None:
    if stage.name in UNBUDGETED:
        return
    cannot = f"the stage {stage.name} cannot learn"
    if "transition" in stage.parts and environment.kind != "mdp":
        raise UsageError(f"{cannot} a transition: {DYNAMICS[environment.kind]}")
    if "termination" in stage.parts and not environment.termination:
        raise UsageError(f"{cannot} a termination: there is none without environment.termination=true")
    if environment.kind == "reward" and "reward" not in stage.parts:
        raise UsageError(f"{cannot} anything: a reward has no part but the reward")


def _refuse_undifferentiable(environment: EnvironmentConfig, stage: StageConfig) -> None:
    if environment.kind == "reward":
        raise UsageError(f"the stage {stage.name} needs contexts to differentiate, and a reward has none; take bilevel")
    if stage.estimator != "snes":
        raise UsageError(
            f"the stage {stage.name} differentiates and takes no estimator, got {stage.estimator!r}; give it to bilevel"
        )
    if others := [part for part in stage.parts if part not in TAUGHT]:
        raise UsageError(
            f"the stage {stage.name} takes contexts and rewards alone, so its parts cannot hold {others[0]!r};"
            f" known: {', '.join(TAUGHT)}"
        )
