"""The learners of a meta-training: which architecture, widths, depth, norm and activation each outer step draws.

A teacher meta-trained on one learner fails on others, so that a pool of many is what it is best trained on.
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
    """A name of ``gtn_sl.learners``, with widths behind a colon to judge the teacher on: ``base_fc:32,64,128``."""
    pool: tuple[str, ...] = ()
    """Names that each outer step draws one of; one that is named twice comes twice as often. Empty: ``architecture`` alone."""
    random_widths: tuple[tuple[Positive, Positive], ...] | None = None
    """Range ``[low, high)`` of each width of a single learner; ``None`` takes the architecture's own."""
    width_scale: tuple[PositiveReal, PositiveReal] = (1.0, 1.0)
    """Range of a factor on all random widths, drawn for each learner, evenly on a logarithmic scale."""
    norms: tuple[str, ...] = ()
    """Norms to draw from, of ``mean-only``, ``batch``, ``group``, ``instance``, ``layer``, ``none`` and ``own``, the
    architecture's own. Empty: its own."""
    activations: tuple[str, ...] = ()
    """Activations, likewise, of ``leaky_relu``, ``relu``, ``gelu``, ``silu``, ``elu``, ``tanh`` and ``own``."""
    warm_up: Share = 0.0
    """Share of the run, at its start, in which only the first learner of the pool is drawn."""
    side_by_side: Positive = 1
    """S, learners of the drawn form that an outer step trains on the same batches as one batched network; their meta-gradients
    are averaged. On a GPU, several small ones hardly take longer than one. Learners whose operations are drawn, such as
    ``sampled``, are no one network, and come alone."""
    depth_schedule: Natural = 0
    """Episodes after which learners with a repeated part become one deeper, from their least depth up; 0 draws depths evenly."""


@dataclass(frozen=True)
class Member:
    """One drawn learner, described.

    Attributes:
        name: Of its architecture, as the pool names it.
        family: The architecture.
        form: Which member of it.
    """

    name: str
    family: Architecture
    form: Form

    def describe(self) -> str:
        """Returns a name that ``architecture`` would make the same learner of, where the name stands for a family of ours."""
        settings = [*map(str, self.form.widths), f"norm={self.form.norm}", f"activation={self.form.activation}"]
        depth = [f"depth={self.form.depth}"] if self.family.depths else []
        return f"{self.name.partition(':')[0]}:{','.join([*settings, *depth])}" if self.form.widths else self.name


@dataclass(frozen=True)
class LearnerPool:
    """Draws the learners of a meta-training; each is a function of the run's seed, its number, and the share that is done.

    Attributes:
        settings: What is drawn from.
        families: The pool's architectures, by name as ``settings`` has them.
        task: Gives image shape and classes.
        streams: The run's randomness.
        plan: How steps are computed.
        device: Where the learners live.
    """

    settings: LearnerConfig
    families: Sequence[tuple[str, Architecture]]
    task: ImageTask
    streams: Streams
    plan: StepPlan
    device: torch.device
    _last: dict[tuple[str, Form], Learner] = field(default_factory=dict, compare=False, repr=False)

    def member(self, index: int, progress: float) -> Member:
        """Returns which learner episode ``index`` has, when a share ``progress`` of the run is done."""
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
        """Returns the learner of episode ``index`` with its initial parameters, shape ``(D,)``, or ``(S, D)`` side by side."""
        member = self.member(index, progress)
        count = side_by_side(member.family, self.settings)
        seeds = [self.streams.seed("learner", index, *([copy] if copy else [])) for copy in range(count)]
        fresh = [member.family.fresh(self.task, seed, self.plan.layout, member.form) for seed in seeds]
        (learner, *_), phis = zip(*fresh, strict=True)
        return self._prepared(member, learner), send(batched(phis), self.device)

    def _prepared(self, member: Member, learner: Learner) -> Learner:
        """Returns the last learner where this one is the same function: what was compiled or captured for it serves on."""
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
    """Returns how many learners of a family an episode of a pool trains at once."""
    return 1 if family.drawn else settings.side_by_side


def batched(phis: Sequence[Tensor]) -> Tensor:
    """Returns the parameters of S learners of one kind as one batched network has them, ``(S, D)``; of a single one, ``(D,)``."""
    return torch.stack(list(phis)) if len(phis) > 1 else phis[0]


def pool_families(settings: LearnerConfig) -> list[tuple[str, Architecture]]:
    """Looks up what a pool draws from.

    Raises:
        UsageError: A name is unknown, or a range makes no sense.
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
            f"learner.side_by_side={settings.side_by_side} is of no meaning to {drawn}, whose learners are different functions,"
            " which no batched network can be; set outer.accumulate instead"
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
    """Returns the form that takes most memory of those that a pool draws of a family."""
    factor = settings.width_scale[1]
    widths = tuple(low if low == high else max(low, round(factor * (high - 1))) for low, high in family.random_widths)
    return replace(family.form, widths=widths, depth=family.depths[1] - 1 if family.depths else family.form.depth)


def has_one_shape(settings: LearnerConfig) -> bool:
    """Says whether all learners of a pool are the same function of phi, so that what is compiled for one serves all."""
    (_, family), *others = pool_families(settings)
    varied = others or settings.norms or settings.activations or family.drawn
    deepens = family.depths is not None and family.depths[1] - family.depths[0] > 1
    return not varied and not deepens and all(low == high for low, high in family.random_widths)
