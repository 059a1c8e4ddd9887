"""What the stages of a meta-training are, by name: which are outer loops, which come first, and what they play."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

StageName = Literal["greedy", "distil", "soften", "fit", "scale", "bilevel", "meta-gradient", "paper"]


@dataclass(frozen=True)
class StageNature:
    """What a stage is.

    Attributes:
        loops: Whether it is an outer loop, with a part of the budget; else it takes what time it takes.
        differentiates: Whether that loop differentiates an inner one; else it evolves.
        plays_greedy: Whether it plays the reward's own greedy policy, which a potential has not.
        warms_up: Whether it comes before an MDP's transitions are fitted, so that the environment is judged as a bandit.
        judges: Whether its score is what agents return on the real task.
    """

    loops: bool = False
    differentiates: bool = False
    plays_greedy: bool = False
    warms_up: bool = False
    judges: bool = True

    @property
    def evolves(self) -> bool:
        """Whether it is an outer loop by an evolution strategy."""
        return self.loops and not self.differentiates


NATURES: Mapping[str, StageNature] = {
    "greedy": StageNature(loops=True, plays_greedy=True, warms_up=True),
    "distil": StageNature(loops=True, warms_up=True),
    "soften": StageNature(plays_greedy=True, warms_up=True),
    "fit": StageNature(judges=False),
    "scale": StageNature(),
    "bilevel": StageNature(loops=True),
    "meta-gradient": StageNature(loops=True, differentiates=True),
    "paper": StageNature(loops=True, differentiates=True),
}
"""By ``StageName``."""
