"""Properties of the stages of a meta-training, by name: which are outer loops, which come first, and what they play."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

StageName = Literal["greedy", "distil", "soften", "fit", "judge", "scale", "bilevel", "meta-gradient", "paper"]


@dataclass(frozen=True)
class StageNature:
    """Properties of a stage.

    Attributes:
        loops: Whether it is an outer loop with a share of the budget; otherwise it takes as long as it needs.
        differentiates: Whether that loop differentiates an inner loop; otherwise it evolves.
        plays_greedy: Whether it plays the reward's own greedy policy, which a potential does not have.
        warms_up: Whether it comes before an MDP's transitions are fitted, so that the environment is judged as a bandit.
        judges: Whether its score is the real return of agents.
        changes: Whether it changes the environment, so that there is a score before and one after it.
    """

    loops: bool = False
    differentiates: bool = False
    plays_greedy: bool = False
    warms_up: bool = False
    judges: bool = True
    changes: bool = True

    @property
    def evolves(self) -> bool:
        """Whether it is an outer loop driven by an evolution strategy."""
        return self.loops and not self.differentiates


NATURES: Mapping[str, StageNature] = {
    "greedy": StageNature(loops=True, plays_greedy=True, warms_up=True),
    "distil": StageNature(loops=True, warms_up=True),
    "soften": StageNature(plays_greedy=True, warms_up=True),
    "fit": StageNature(judges=False),
    "judge": StageNature(changes=False),
    "scale": StageNature(),
    "bilevel": StageNature(loops=True),
    "meta-gradient": StageNature(loops=True, differentiates=True),
    "paper": StageNature(loops=True, differentiates=True),
}
"""By ``StageName``."""
