"""The learners of a meta-training: the architecture, widths, depth, norm and activation that each outer step draws.

A teacher meta-trained on one learner fails on others, so it is best trained on a pool of many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gtn_core.config import Natural, Positive, PositiveReal, Share, config
from gtn_core.device import send
from gtn_core.errors import UsageError
from gtn_core.layers import sample_widths
from gtn_core.learner import Learner
from gtn_core.planning.plan import StepPlan
from gtn_core.seeding import Streams
from gtn_sl.data import ImageTask
from gtn_sl.learners.form import ACTIVATIONS, NORMS, Form
from gtn_sl.learners.named import architecture
from gtn_sl.learners.registry import Architecture


@config
class LearnerConfig:
    """The learners that the teacher is meta-trained on."""

    architecture: str = "base_fc"
    """A name in ``gtn_sl.learners``, with the widths to judge the teacher on after a colon: ``base_fc:32,64,128``."""
    pool: tuple[str, ...] = ()
    """Names of which each outer step draws one; a name given twice is drawn twice as often. Empty: ``architecture``."""
    random_widths: tuple[tuple[Positive, Positive], ...] | None = None
    """Range ``[low, high)`` of each width of a single learner; ``None`` takes the architecture's own."""
    width_scale: tuple[PositiveReal, PositiveReal] = (1.0, 1.0)
    """Range of a factor on all random widths, drawn log-uniformly for each learner."""
    norms: tuple[str, ...] = ()
    """Norms to draw from: ``mean-only``, ``batch``, ``group``, ``instance``, ``layer``, ``none``, or ``own``, the
    architecture's own. Empty: its own."""
    activations: tuple[str, ...] = ()
    """Activations, likewise, of ``leaky_relu``, ``relu``, ``gelu``, ``silu``, ``elu``, ``tanh`` and ``own``."""
    warm_up: Share = 0.0
    """Share of the run, from its start, in which only the first learner of the pool is drawn."""
    side_by_side: Positive = 1
    """Number of learners of the drawn form, S, that train side by side on the same batches as one batched network;
    their meta-gradients are averaged. On a GPU, several small ones take hardly longer than one. Learners with random
    operations, such as ``sampled``, cannot be batched, and train alone."""
    depth_schedule: Natural = 0
    """Episodes after which learners with a repeated part get one deeper, from their least depth up; 0 draws depths
    uniformly."""


@dataclass(frozen=True)
class Member:
    """Description of a drawn learner.

    Attributes:
        name: Name of its architecture in the pool.
        family: The architecture.
        form: The member of the family.
    """

    name: str
    family: Architecture
    form: Form

    def describe(self) -> str:
        """Returns a name from which ``architecture`` makes the same learner, unless it is a user's own module."""
        settings = [*map(str, self.form.widths), f"norm={self.form.norm}", f"activation={self.form.activation}"]
        depth = [f"depth={self.form.depth}"] if self.family.depths else []
        return f"{self.name.partition(':')[0]}:{','.join([*settings, *depth])}" if self.form.widths else self.name


@dataclass(frozen=True)
class LearnerPool:
    """Draws a meta-training's learners, each a function of the run's seed, its number, and the share of the run done.

    Attributes:
        settings: What is drawn from.
        families: The pool's architectures, with their names in ``settings``.
        task: Gives image shape and classes.
        streams: The run's randomness.
        plan: How steps are computed.
        device: Device of the learners' parameters.
    """

    settings: LearnerConfig
    families: Sequence[tuple[str, Architecture]]
    task: ImageTask
    streams: Streams
    plan: StepPlan
    device: torch.device
    _last: dict[tuple[str, Form], Learner] = field(default_factory=dict, compare=False, repr=False)

    def member(self, index: int, progress: float) -> Member:
        """Returns the learner of episode ``index``, when a share ``progress`` of the run is done."""
        choice = int(self.streams.numpy("learner", index).integers(len(self.families)))
        name, family = self.families[0 if progress < self.settings.warm_up else choice]
        form = replace(
            family.form,
            widths=self._widths(family, index),
            depth=self._depth(family, index),
            norm=self._drawn(family, "norm", self.settings.norms, index),
            activation=self._drawn(family, "activation", self.settings.activations, index),
        )
        return Member(name, family, form)

    def draw(self, index: int, progress: float) -> tuple[Learner, Tensor]:
        """Returns the learner of episode ``index`` and its initial parameters, ``(D,)``, or ``(S, D)`` side by side."""
        member = self.member(index, progress)
        count = side_by_side(member.family, self.settings)
        seeds = [self.streams.seed("learner", index, *([copy] if copy else [])) for copy in range(count)]
        fresh = [member.family.fresh(self.task, seed, self.plan.layout, member.form) for seed in seeds]
        (learner, *_), phis = zip(*fresh, strict=True)
        return self._prepared(member, learner), send(batched(phis), self.device)

    def _prepared(self, member: Member, learner: Learner) -> Learner:
        """Returns the last learner if this one is the same function, to reuse what was compiled or captured for it."""
        if self.plan.execution == "eager" or member.family.drawn:
            return learner
        key = (member.name, member.form)
        if key not in self._last:
            self._last.clear()
            self._last[key] = learner
        return self._last[key]

    def _widths(self, family: Architecture, index: int) -> tuple[int, ...]:
        random = self.streams.numpy("learner-widths", index)
        widths = sample_widths(family.random_widths, random)
        low, high = (math.log(factor) for factor in self.settings.width_scale)
        factor = math.exp(random.uniform(low, high))
        ranges = zip(widths, family.random_widths, strict=True)
        return tuple(w if fixed[0] == fixed[1] else max(1, round(factor * w)) for w, fixed in ranges)

    def _depth(self, family: Architecture, index: int) -> int:
        if family.depths is None:
            return family.form.depth
        low, high = family.depths
        if self.settings.depth_schedule:
            return min(high - 1, low + index // self.settings.depth_schedule)
        return int(self.streams.numpy("learner-depth", index).integers(low, high))

    def _drawn(self, family: Architecture, setting: str, names: Sequence[str], index: int) -> str:
        own = str(getattr(family.form, setting))
        if not names or setting in family.settled:
            return own
        chosen = names[int(self.streams.numpy(f"learner-{setting}", index).integers(len(names)))]
        return own if chosen == "own" else chosen


def side_by_side(family: Architecture, settings: LearnerConfig) -> int:
    """Returns how many learners of a family an episode trains side by side."""
    return 1 if family.drawn else settings.side_by_side


def batched(phis: Sequence[Tensor]) -> Tensor:
    """Returns the parameters of S learners of one form as those of a batched network, ``(S, D)``; ``(D,)`` for S = 1."""
    return torch.stack(list(phis)) if len(phis) > 1 else phis[0]


def pool_families(settings: LearnerConfig) -> list[tuple[str, Architecture]]:
    """Looks up the architectures that a pool draws from, with their names.

    Raises:
        UsageError: A name is unknown, a range is not valid, or settings do not go together.
    """
    for registry, names in ((NORMS, settings.norms), (ACTIVATIONS, settings.activations)):
        for name in names:
            name == "own" or registry[name]
    if settings.width_scale[0] > settings.width_scale[1]:
        raise UsageError(f"learner.width_scale needs a range [low, high], got {list(settings.width_scale)}")
    families = [(name, architecture(name)) for name in settings.pool or (settings.architecture,)]
    if settings.side_by_side > 1 and all(family.drawn for _, family in families):
        drawn = ", ".join(name for name, _ in families)
        raise UsageError(
            f"learner.side_by_side={settings.side_by_side} cannot be used with {drawn}, whose learners are"
            " different functions and cannot run as one batched network; set outer.accumulate instead"
        )
    ranges = settings.random_widths
    if ranges is None:
        return families
    if settings.pool:
        raise UsageError("learner.random_widths is for a single learner; with learner.pool, set learner.width_scale")
    name, family = families[0]
    if len(ranges) != len(family.form.widths) or any(low > high for low, high in ranges):
        raise UsageError(f"learner.random_widths needs {len(family.form.widths)} ranges [low, high], got {ranges}")
    return [(name, replace(family, random_widths=ranges))]


def widest(family: Architecture, settings: LearnerConfig) -> Form:
    """Returns the form of a family that takes the most memory of those that a pool draws."""
    factor = settings.width_scale[1]
    widths = tuple(low if low == high else max(low, round(factor * (high - 1))) for low, high in family.random_widths)
    return replace(family.form, widths=widths, depth=family.depths[1] - 1 if family.depths else family.form.depth)


def has_one_shape(settings: LearnerConfig) -> bool:
    """Returns whether all learners of a pool are the same function of phi, so that code compiled for one serves all."""
    (_, family), *others = pool_families(settings)
    varied = others or settings.norms or settings.activations or family.drawn
    deepens = family.depths is not None and family.depths[1] - family.depths[0] > 1
    return not varied and not deepens and all(low == high for low, high in family.random_widths)
