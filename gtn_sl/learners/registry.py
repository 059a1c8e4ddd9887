"""The registry of learner architectures, and how a name such as ``base_fc:16,32,64`` becomes one of fixed widths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from gtn_core.errors import UsageError
from gtn_core.layers import sample_widths
from gtn_core.learner import Layout, Learner, fresh_learner
from gtn_core.registry import Registry
from gtn_sl.data import ImageTask

Build = Callable[[Sequence[int], int, Sequence[int]], nn.Module]
"""``(image shape, classes, widths) -> module``."""


@dataclass(frozen=True)
class Architecture:
    """A family of learners that differ in their widths.

    Attributes:
        build: Makes one, from image shape ``(C, H, W)``, number of classes, and widths.
        widths: Widths where none are asked for.
        random_widths: Range ``[low, high)`` that each width is drawn from in meta-training.
    """

    build: Build
    widths: tuple[int, ...]
    random_widths: tuple[tuple[int, int], ...]

    def with_widths(self, widths: Sequence[int]) -> Architecture:
        """Returns the architecture with its widths fixed."""
        return replace(self, widths=tuple(widths), random_widths=tuple((w, w) for w in widths))

    def fresh(
        self, task: ImageTask, seed: int, layout: Layout, widths: Sequence[int] | None = None
    ) -> tuple[Learner, Tensor]:
        """Returns a learner for a task with its initial parameters, shape ``(D,)``, which depend on ``seed`` alone.

        Args:
            task: Gives image shape and classes.
            seed: Seed of the parameters.
            layout: See ``gtn_core.learner.Learner``.
            widths: Its widths; ``None`` takes the architecture's own.
        """
        chosen = self.widths if widths is None else widths
        return fresh_learner(lambda: self.build(task.image_shape, task.classes, chosen), seed, layout)

    def draw_widths(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Draws the widths of one learner of the meta-training."""
        return sample_widths(self.random_widths, rng)


LEARNERS: Registry[Callable[[], Architecture]] = Registry("learner")


def architecture(name: str) -> Architecture:
    """Looks up a learner.

    Args:
        name: A registered name, with widths behind a colon where they should differ from its own: ``base_fc:16,32,64``.

    Raises:
        UsageError: The name is unknown, or the widths are not as many positive numbers as the architecture has.
    """
    name, _, widths = name.partition(":")
    family = LEARNERS[name]()
    if not widths:
        return family
    try:
        numbers = [int(width) for width in widths.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != len(family.widths) or min(numbers) < 1:
        example = ",".join(map(str, family.widths))
        raise UsageError(f"learner {name!r} takes {len(family.widths)} widths such as {name}:{example}, got {widths!r}")
    return family.with_widths(numbers)
