"""Rules for which curricula, generators and labels can be combined, each with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gtn_core.errors import UsageError
from gtn_sl.config import MetaTrainConfig, TeacherConfig
from gtn_sl.curricula import CURRICULA, Noise
from gtn_sl.generators import GENERATORS, Generator
from gtn_sl.labels import LABELS, Labels


@dataclass(frozen=True)
class _Choice:
    config: MetaTrainConfig
    noise: type[Noise]
    generator: type[Generator]
    labels: type[Labels]

    @property
    def teacher(self) -> TeacherConfig:
        return self.config.teacher


@dataclass(frozen=True)
class _Rule:
    """A combination that is refused.

    Attributes:
        broken: Returns whether a choice breaks the rule.
        settings: The settings in question, by their dotted names.
        reason: Why they cannot be combined, and what can.
    """

    broken: Callable[[_Choice], bool]
    settings: tuple[str, ...]
    reason: str


_RULES = (
    _Rule(
        lambda c: c.generator.makes_labels and not c.labels.from_generator,
        ("teacher.generator", "teacher.labels"),
        "this generator makes the labels itself; use teacher.labels=generated",
    ),
    _Rule(
        lambda c: c.labels.from_generator and not c.generator.makes_labels,
        ("teacher.labels", "teacher.generator"),
        "this generator makes no labels; use teacher.generator=joint",
    ),
    _Rule(
        lambda c: c.labels.must_be_told and not c.generator.is_told,
        ("teacher.labels", "teacher.generator"),
        "the classes are drawn anew for every learner, but this generator's images do not depend on the class;"
        " use a conditional generator",
    ),
    _Rule(
        lambda c: c.labels.belong_to_samples and not c.noise.has_samples,
        ("teacher.labels", "teacher.curriculum"),
        "each of these labels belongs to a fixed sample, but noise drawn anew for every learner has none; use one-hot or"
        " random labels, or the joint generator, whose labels follow from the noise",
    ),
    _Rule(
        lambda c: not c.generator.is_network and not c.noise.has_samples,
        ("teacher.generator", "teacher.curriculum"),
        "the images are the fixed samples themselves, but noise drawn anew for every learner has none",
    ),
    _Rule(
        lambda c: c.teacher.samples is not None and not c.noise.has_samples,
        ("teacher.samples", "teacher.curriculum"),
        "noise drawn anew for every learner has no fixed samples whose number could be set",
    ),
    _Rule(
        lambda c: c.teacher.warm_start > 0 and not c.noise.has_samples,
        ("teacher.warm_start", "teacher.curriculum"),
        "a warm start fits each fixed sample to a real image, but noise drawn anew for every learner has none;"
        " set teacher.warm_start=0",
    ),
    _Rule(
        lambda c: c.config.meta_loss.autoencoder > 0 and not c.generator.is_network,
        ("meta_loss.autoencoder", "teacher.generator"),
        "the generator has to decode what an encoder makes of real images, but this one has no layers",
    ),
    _Rule(
        lambda c: c.config.learner.side_by_side > 1 and CURRICULA[c.teacher.curriculum].feedback is not None,
        ("learner.side_by_side", "teacher.curriculum"),
        "learners side by side share their batches, but with this curriculum each has its own; set outer.accumulate instead",
    ),
    _Rule(
        lambda c: (
            not (c.generator.is_network or c.noise.is_learned or c.labels.is_learned or c.config.inner.learn_schedule)
        ),
        ("teacher.generator", "teacher.curriculum", "teacher.labels", "inner.learn_schedule"),
        "nothing is left to meta-learn; images, labels or the schedule must be learned",
    ),
    _Rule(
        lambda c: c.config.inner.batch_size < 2 and c.generator.is_network,
        ("inner.batch_size", "teacher.generator"),
        "this generator normalises over its batch, which requires at least two images",
    ),
)


def refuse_impossible(config: MetaTrainConfig) -> None:
    """Checks that a config's parts can be combined into a teacher.

    Raises:
        UsageError: A name is unknown, or parts cannot be combined; the message gives the reason for each conflict.
    """
    teacher = config.teacher
    noise, generator = CURRICULA[teacher.curriculum].noise, GENERATORS[teacher.generator]
    choice = _Choice(config, noise, generator, LABELS[teacher.labels])
    broken = [rule for rule in _RULES if rule.broken(choice)]
    if broken:
        raise UsageError("; and ".join(f"{_named(config, rule)}: {rule.reason}" for rule in broken))


def _named(config: MetaTrainConfig, rule: _Rule) -> str:
    return " with ".join(f"{key}={_value(config, key)}" for key in rule.settings)


def _value(config: MetaTrainConfig, key: str) -> object:
    part, _, field = key.partition(".")
    return getattr(getattr(config, part), field)
