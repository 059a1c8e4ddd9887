"""Which parts of an environment a stage meta-learns: those that its fitness depends on."""

from __future__ import annotations

from collections.abc import Mapping

from gtn_rl.config import Part, StageConfig
from gtn_rl.natures import NATURES

USUAL: tuple[Part, ...] = ("reward", "scale", "initial")
"""Parts that are meta-learned by default, as far as a stage can learn them."""


def learned_parts(stage: StageConfig, *, discrete: bool) -> tuple[Part, ...]:
    """Returns the parts that a stage meta-learns.

    Args:
        stage: Its settings.
        discrete: Whether the task has discrete actions.
    """
    if stage.parts is not None:
        return stage.parts
    beyond = out_of_reach(stage.name, discrete=discrete)
    return tuple(part for part in USUAL if part not in beyond)


def out_of_reach(stage: str, *, discrete: bool) -> Mapping[Part, str]:
    """Returns the parts that an evolved or differentiated stage cannot learn, each with the reason.

    Args:
        stage: Its name.
        discrete: Whether the task has discrete actions.
    """
    contexts = "it uses only contexts and rewards"
    dynamics: dict[Part, str] = {"transition": contexts, "termination": contexts}
    if stage == "greedy":
        policy = "a greedy policy does not depend on {}"
        return {**dynamics, "scale": policy.format("the reward's size"), "initial": policy.format("the initial state")}
    if stage == "distil":
        return dynamics if discrete else {**dynamics, "scale": "for continuous actions it regresses only the best one"}
    return dynamics if NATURES[stage].differentiates else {}
