"""Which stages suit which kind of environment, and why others do not."""

from __future__ import annotations

from collections.abc import Sequence

from gtn_core.errors import UsageError, unknown_name
from gtn_core.estimators import ESTIMATORS
from gtn_rl.config import EnvironmentConfig, StageConfig
from gtn_rl.stages.parts import out_of_reach

ENDS = {
    "bandit": "every step of a bandit ends an episode",
    "reward": "the real task ends its own episodes",
}
"""Why a kind has no termination network."""

DYNAMICS = {
    "bandit": "a bandit has no transitions",
    "reward": "a reward leaves the real task's transitions as they are",
}
"""Why a kind has no dynamics to fit."""


def refuse_nonsense(environment: EnvironmentConfig, stages: Sequence[StageConfig], *, discrete: bool) -> None:
    """Checks that every stage has what it works on, and that the settings are consistent.

    Args:
        environment: Settings of the environment.
        stages: The stages, in order.
        discrete: Whether the task has discrete actions.

    Raises:
        UsageError: A stage lacks what it needs, or settings contradict one another.
    """
    kind, names = environment.kind, [stage.name for stage in stages]
    if environment.termination and kind != "mdp":
        raise UsageError(f"environment.termination applies only to an mdp: {ENDS[kind]}")
    if environment.reward_mode == "potential" and kind != "reward":
        raise UsageError(f"environment.reward_mode=potential needs a real reward to add to; the {kind} has none")
    if environment.reward_mode == "potential" and environment.start is not None:
        raise UsageError(
            "a potential cannot start from a reward of actions; use environment.start with another environment.reward_mode"
        )
    if environment.reward_mode == "fitted":
        _refuse_unfit_for_real_reward(environment, stages)
    if "fit" in names and kind != "mdp":
        raise UsageError(f"{DYNAMICS[kind]}, so the stage fit does not apply")
    if "fit" not in names and kind == "mdp":
        raise UsageError("an mdp needs the stage fit for its dynamics")
    if kind == "mdp":
        _refuse_wrong_order(stages)
    if kind == "mdp" and environment.harvest_episodes < 2:
        raise UsageError(
            "an mdp needs environment.harvest_episodes of 2 or more: its dynamics are validated on held-out ones"
        )
    playing = [stage.name for stage in stages if stage.nature.plays_greedy]
    if environment.reward_mode == "potential" and playing:
        raise UsageError(
            f"a potential does not rate actions, so it has no greedy policy for the stage {playing[0]} to play"
        )
    if "soften" in names and discrete:
        raise UsageError("a greedy policy over discrete actions has no gain for the stage soften to choose")
    if "distil" in names and kind == "reward":
        raise UsageError("the stage distil needs contexts to learn in, but a reward has none; use greedy and bilevel")
    learned = environment.start is not None or environment.reward_mode == "fitted"
    if not any(stage.nature.loops for stage in stages) and not learned:
        raise UsageError(f"the stage {names[0]} alone does not learn a reward; add greedy, bilevel or meta-gradient")
    if kind == "mdp" and environment.episode_steps < 2:
        raise UsageError(
            "an mdp needs environment.episode_steps of 2 or more; for one-step episodes, use --kind bandit"
        )
    if not stages[-1].nature.judges:
        raise UsageError("no stage after fit validates the mdp; add judge, scale or bilevel after it")
    for stage in stages:
        _refuse_missing_parts(environment, stage)
        _refuse_fruitless_parts(stage, discrete=discrete)
        if stage.estimator not in (known := evolution_strategies()):
            raise unknown_name("estimator", stage.estimator, known)
        if stage.nature.differentiates:
            _refuse_undifferentiable(environment, stage)
        if stage.gain != (1.0, 1.0):
            _refuse_gain(stage, discrete=discrete)


def evolution_strategies() -> list[str]:
    """Returns the names of the estimators that are evolution strategies."""
    return [name for name in ESTIMATORS if name != "backprop"]


def _refuse_unfit_for_real_reward(environment: EnvironmentConfig, stages: Sequence[StageConfig]) -> None:
    """Raises UsageError for what would learn another reward than the real one that is fitted."""
    fitted, other = "environment.reward_mode=fitted", "use environment.reward_mode=state-action to learn one"
    if environment.kind != "mdp":
        raise UsageError(f"{fitted} applies only to an mdp: {DYNAMICS[environment.kind]}")
    if environment.start is not None:
        raise UsageError(f"{fitted} fits a reward anew, so it does not go with environment.start")
    if environment.regret:
        raise UsageError(f"{fitted} fits the real reward, so it does not go with environment.regret=true; {other}")
    for stage in stages:
        if stage.nature.warms_up or stage.nature.differentiates:
            raise UsageError(
                f"the stage {stage.name} learns a reward from nothing, but {fitted} fits the real one; {other}"
            )


def _refuse_wrong_order(stages: Sequence[StageConfig]) -> None:
    """Raises UsageError unless an MDP's stages warm up, then fit its dynamics, then train agents inside."""
    fitted = False
    for stage in stages:
        fitted |= stage.name == "fit"
        if stage.nature.warms_up and fitted:
            raise UsageError(f"the stage {stage.name} must come before fit: it is judged without an mdp's dynamics")
        if not stage.nature.warms_up and not fitted:
            raise UsageError(
                f"the stage {stage.name} must come after fit: agents would train in dynamics not yet fitted"
            )


def _refuse_missing_parts(environment: EnvironmentConfig, stage: StageConfig) -> None:
    if not stage.nature.loops or stage.parts is None:
        return
    cannot = f"the stage {stage.name} cannot learn"
    if "transition" in stage.parts and environment.kind != "mdp":
        raise UsageError(f"{cannot} a transition: {DYNAMICS[environment.kind]}")
    if "termination" in stage.parts and not environment.termination:
        raise UsageError(f"{cannot} a termination: there is none without environment.termination=true")
    if environment.kind == "reward" and not {"reward", "scale"} & set(stage.parts):
        raise UsageError(f"{cannot} anything: the only parts of a reward are the reward and its scale")


def _refuse_fruitless_parts(stage: StageConfig, *, discrete: bool) -> None:
    beyond = out_of_reach(stage.name, discrete=discrete)
    for part in stage.parts or ():
        if part in beyond:
            raise UsageError(f"the stage {stage.name} cannot learn {part!r}: {beyond[part]}")


def _refuse_gain(stage: StageConfig, *, discrete: bool) -> None:
    low, high = stage.gain
    if stage.name == "soften":
        raise UsageError("the stage soften tries its own gains; set the range of gains on greedy instead")
    if stage.name != "greedy":
        raise UsageError(
            f"the stage {stage.name} plays no greedy policy, so it takes no gain; set the gain on greedy instead"
        )
    if discrete:
        raise UsageError("a greedy policy over discrete actions does not depend on its gain")
    if low > high:
        raise UsageError(f"the gain of the stage greedy must be [lowest, highest], got [{low}, {high}]")


def _refuse_undifferentiable(environment: EnvironmentConfig, stage: StageConfig) -> None:
    if environment.kind == "reward":
        raise UsageError(f"the stage {stage.name} needs contexts to differentiate, but a reward has none; use bilevel")
    if stage.estimator != "snes":
        raise UsageError(
            f"the stage {stage.name} differentiates, so it takes no estimator, got {stage.estimator!r}; use bilevel"
        )
