"""The registry of learner architectures: families whose members differ in widths, depth, norm and activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from gtn_core.errors import UsageError
from gtn_core.learner import Layout, Learner, fresh_learner
from gtn_core.registry import Registry
from gtn_sl.data import ImageTask
from gtn_sl.learners.form import Form

Build = Callable[[Sequence[int], int, Form], nn.Module]
"""``(image shape, classes, form) -> module``; random parameters and operations come from torch's global generator."""


@dataclass(frozen=True)
class Architecture:
    """A family of learners.

    Attributes:
        build: Makes a member from image shape ``(C, H, W)``, number of classes and form.
        form: The default member, which the name alone stands for.
        random_widths: Range ``[low, high)`` that each width is drawn from in meta-training.
        depths: Range ``[low, high)`` of the depth; ``None`` if the family has no repeated part.
        least_side: Returns the least side of an image that a learner of this form can read.
        settled: Which of ``norm`` and ``activation`` its name sets, so that no pool draws others.
        drawn: Whether more than parameters is random (operations or constants), so that learners of one form may differ
            as functions.
    """

    build: Build
    form: Form
    random_widths: tuple[tuple[int, int], ...] = ()
    depths: tuple[int, int] | None = None
    least_side: Callable[[Form], int] = lambda form: 1
    settled: frozenset[str] = frozenset()
    drawn: bool = False

    def module(self, image_shape: Sequence[int], classes: int, form: Form | None = None) -> nn.Module:
        """Returns a member of the family as a module with fresh parameters: images ``(N, C, H, W)`` to logits.

        Args:
            image_shape: ``(C, H, W)``.
            classes: Number of logits.
            form: The member; ``None`` takes the family's own.

        Raises:
            UsageError: The images are too small.
        """
        form = form or self.form
        least, side = self.least_side(form), min(image_shape[1:])
        if side < least:
            shape = "x".join(map(str, image_shape))
            deep = f" of depth {form.depth}" if self.depths else ""
            raise UsageError(
                f"images of {shape} are too small for this learner{deep}: their sides must be at least {least}"
            )
        return self.build(image_shape, classes, form)

    def fresh(
        self, task: ImageTask, seed: int, layout: Layout = "contiguous", form: Form | None = None
    ) -> tuple[Learner, Tensor]:
        """Returns a learner for a task and its initial parameters, shape ``(D,)``; both are determined by ``seed``.

        Args:
            task: Gives image shape and classes.
            seed: Seed of the parameters, and of the architecture if that is random.
            layout: See ``gtn_core.learner.Learner``.
            form: The member; ``None`` takes the family's own.

        Raises:
            UsageError: The task's images are too small, or the module is not pure.
        """
        return fresh_learner(lambda: self.module(task.image_shape, task.classes, form), seed, layout)


LEARNERS: Registry[Callable[[], Architecture]] = Registry("learner")

PREFIXES: Registry[Callable[[str], Architecture]] = Registry("prefix of a learner")
"""Families of learners by prefix, the text before a name's first colon; called with the text after it."""
