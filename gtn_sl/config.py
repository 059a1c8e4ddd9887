"""Settings of a supervised meta-training, each documented in place; presets are layers over these defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from gtn_core.config import (
    BelowOne,
    Natural,
    NaturalReal,
    Positive,
    PositiveReal,
    Share,
    Threads,
    config,
    resolve,
    to_dict,
)
from gtn_core.errors import UsageError, unknown_name
from gtn_core.inner_optim import UnboundOptimizer, inner_optimizer
from gtn_core.inner_schedule import MAX_MOMENTUM, Schedule
from gtn_core.outer_config import OuterConfig
from gtn_core.planning.plan import StepPlan
from gtn_sl.data import find_task
from gtn_sl.learners.pool import LearnerConfig
from gtn_sl.presets import PRESETS, alike
from gtn_sl.starting_point import named_start, refuse_another_form, settings_of, whole_path


@config
class TeacherConfig:
    """The teacher's architecture and start; ``docs/teachers.md`` shows how its parts combine."""

    generator: str = "conditional"
    """What makes the images: ``conditional``, ``joint``, ``dcgan``, or ``pixels``, which has no layers: the stored
    noise is the images."""
    weight_norm: bool = True
    """Whether the generator's layers have weight norm."""
    hidden: Positive = 256
    """Width of the generator's first linear layer."""
    channels: tuple[Positive, Positive] = (16, 8)
    """The generator's feature maps at a quarter and at half of the resolution."""
    latent: Positive = 64
    """Length of a noise vector; ``pixels`` takes one value per pixel and channel instead."""
    curriculum: str = "full"
    """Which noise the generator gets, and in which order: ``full``, ``reversed``, ``shuffled-batches``,
    ``all-shuffled``, ``random-fixed``, ``gaussian``, ``none`` (endless fresh noise and labels), or ``closed-loop``."""
    samples: Positive | None = None
    """Number of samples, if each is to be used repeatedly: from ``inner.batch_size`` (every batch is the whole set) to
    T x B. ``None`` makes T x B, one for each place in a batch."""
    labels: str = "soft"
    """The labels that the learner is taught: ``one-hot`` (classes in turn), ``random``, ``soft`` (learned) or
    ``generated``."""
    noise_lr: PositiveReal = 1.0
    """Outer learning rate of learned noise (with ``pixels``, of the images), as a multiple of ``outer.lr``; the
    generator's is always ``outer.lr``."""
    labels_lr: PositiveReal = 1.0
    """Outer learning rate of learned labels, as a multiple of ``outer.lr``."""
    schedule_lr: PositiveReal = 1.0
    """Outer learning rate of the inner learning rates (in log space) and momenta (in logit space), as a multiple of
    ``outer.lr``."""
    warm_start: Natural = 0
    """Epochs of fitting the generator to training images before meta-training; 0 starts from random weights. ``pixels``
    needs no fitting: any number above 0 starts from the images themselves."""
    start: str | None = None
    """Teacher to start from: name of a shipped one, run folder or file. The run keeps its generator, curriculum, labels
    and inner loop; learners, images, learning rates and budget may differ, and inner.steps may be multiplied."""


@config
class InnerConfig:
    """The inner loop."""

    steps: Positive = 32
    """Number of inner steps, T."""
    batch_size: Positive = 64
    """Synthetic images per inner step, B."""
    optimizer: str = "sgd"
    """Inner optimizer: ``sgd``, ``rmsprop`` or ``adam``."""
    eps: PositiveReal = 1e-8
    """Added to the root of squared gradients by ``rmsprop`` and ``adam``. Where a parameter's gradient is small,
    meta-gradients through a step of Adam grow with its inverse; 1e-4 costs a learner nothing."""
    lr: PositiveReal = 0.02
    """Learning rate of every inner step before meta-training."""
    momentum: PositiveReal = 0.9
    """Momentum (Adam: beta1) of every inner step before meta-training."""
    fan_in: Natural = 0
    """Largest fan-in at which a weight gets the full learning rate; beyond it the rate falls in inverse proportion, so
    that one Adam rate also suits wide networks. 0 gives all weights the same rate."""
    max_momentum: BelowOne = MAX_MOMENTUM
    """Upper bound on the learned momentum."""
    learn_schedule: bool = True
    """Whether the learning rate and momentum of each inner step are meta-learned."""
    grow: Share = 0.0
    """Share of the run over which the number of inner steps grows from ``first_steps`` to ``steps``; 0 for no growth."""
    first_steps: Positive = 1
    """Number of inner steps in the first outer step, if ``grow`` is above 0."""

    def fresh_optimizer(self) -> UnboundOptimizer:
        """Returns the inner optimizer.

        Raises:
            UsageError: Its name is unknown.
        """
        return inner_optimizer(self.optimizer, self.eps, self.fan_in)

    def fresh_schedule(self, *, learned: bool = True) -> Schedule:
        """Returns learning rates and momenta as before meta-training.

        Args:
            learned: Whether they will be meta-learned.

        Raises:
            ValueError: A value is out of range.
        """
        return Schedule(self.steps, self.lr, self.momentum, max_momentum=self.max_momentum, learned=learned)


@config
class MetaLossConfig:
    """How a learner is judged on real training data, for the meta-gradient."""

    batch_size: Positive = 1024
    """Real images in the loss after the last inner step."""
    every: Natural = 0
    """Inner steps from one intermediate loss to the next; 0 for none."""
    weight: NaturalReal = 1.0
    """Weight of the mean of the intermediate losses at the start of the run; the final loss has weight 1."""
    final_weight: NaturalReal = 1.0
    """Weight of the mean of the intermediate losses at the end of the run; in between, it changes linearly."""
    intermediate_batch_size: Positive = 128
    """Real images in each intermediate loss."""
    augmentation: str = "none"
    """Augmentation of the real images: ``none``, ``affine``, ``crop-flip``, ``cutout`` or ``crop-flip-cutout``."""
    autoencoder: NaturalReal = 0.0
    """Weight of an autoencoder loss added to the meta-loss: how badly the generator decodes the codes of
    ``inner.batch_size`` real images, from an encoder trained along with it; 0 for none."""

    def sizes(self, steps: int) -> dict[int, int]:
        """Returns the real images in each loss, by the inner step after which it is taken; the last is ``steps``."""
        between = range(self.every, steps, self.every) if self.every else ()
        return dict.fromkeys(between, self.intermediate_batch_size) | {steps: self.batch_size}


@config
class ValidationConfig:
    """How the teacher is validated during meta-training."""

    architectures: tuple[str, ...] = ()
    """Learners to validate on, whose mean accuracy decides which teacher is best. Empty: ``learner.architecture``."""
    learners: Positive = 3
    """Fresh learners of each architecture, the same at every validation."""
    images: Positive = 5000
    """Maximum number of validation images."""


@config
class ComputeConfig:
    """Where and how the run computes."""

    device: str = "cpu"
    """Device to compute on: ``cpu``, ``cuda`` or ``cuda:N``."""
    threads: Threads | None = None
    """CPU threads of each process; ``None`` takes the fastest number up to torch's default, which several processes
    share. A resumed run keeps its number, so that sums stay the same; if it was not given, another number of processes
    shares the total."""
    sharers: Positive | None = None
    """Processes on each machine that share the threads, recorded by the run unless ``threads`` was given."""
    memory_mib: PositiveReal | None = None
    """Memory in MiB that an outer step may use besides teacher and data; as many graphs of inner steps are kept as fit.
    ``None`` is 4096 on a CPU, and what is free on a GPU."""
    plan: StepPlan | None = None
    """How steps are computed: layout, precision, back-end and kept graphs; ``None`` chooses by a micro-benchmark."""


@config
class MetaTrainConfig:
    """Settings of one supervised meta-training."""

    task: str = "digits"
    """A name in ``gtn_sl.data.TASKS``, or your own images: ``my_package:my_task``, or an ``.npz`` file."""
    preset: str = "fast"
    """The preset that the other settings started from."""
    seed: Natural = 0
    """Root of all random streams."""
    data_dir: str | None = None
    """Folder of the image files; ``None`` takes GTN_DATA_DIR, else the user's cache."""
    teacher: TeacherConfig = TeacherConfig()
    learner: LearnerConfig = LearnerConfig()
    inner: InnerConfig = InnerConfig()
    meta_loss: MetaLossConfig = MetaLossConfig()
    outer: OuterConfig = OuterConfig()
    validation: ValidationConfig = ValidationConfig()
    compute: ComputeConfig = ComputeConfig()

    @property
    def judges(self) -> tuple[str, ...]:
        """The learners that the teacher is validated on."""
        return self.validation.architectures or (self.learner.architecture,)


def resolve_config(task: str, preset: str = "fast", *layers: Mapping[str, Any]) -> MetaTrainConfig:
    """Builds the config of a run from a task, a preset and the user's settings.

    Args:
        task: As in ``gtn_sl.data.find_task``.
        preset: ``fast``, ``search``, ``paper`` or ``original``.
        layers: Nested dictionaries; later ones override earlier ones. A budget (``iterations`` or ``minutes``) replaces
            any earlier budget, and a learner (``learner.architecture``) the earlier learners, with pool and judges; a
            pool replaces random widths, and vice versa. A teacher to start from (``teacher.start``) replaces the
            preset's settings of teacher and inner loop with its own.

    Raises:
        UsageError: A name, key or value is not accepted, or there is not exactly one budget.
        DataError: The task is a file that is missing, or holds no data set.
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    found = find_task(task)
    stack: list[Mapping[str, Any]] = [{"preset": preset}, PRESETS[preset][alike(found)]]
    start = named_start(layers)
    if start is not None:
        stack.append(settings_of(start, found))
    before = tuple(stack)
    for layer in layers:
        stack += [*_replaced(layer), layer]
    resolved = resolve(MetaTrainConfig, *stack, {"task": found.name})
    if (resolved.outer.iterations is None) == (resolved.outer.minutes is None):
        raise UsageError("give one budget: either outer.iterations or outer.minutes")
    if resolved.inner.first_steps > resolved.inner.steps:
        first, last = resolved.inner.first_steps, resolved.inner.steps
        raise UsageError(f"inner.first_steps={first} must be at most inner.steps={last}, which the inner steps grow to")
    if start is not None:
        refuse_another_form(resolved, resolve(MetaTrainConfig, *before))
        teacher = dataclasses.replace(resolved.teacher, start=whole_path(start))
        resolved = dataclasses.replace(resolved, teacher=teacher)
    return resolved


def _replaced(layer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields the earlier settings that a layer resets without naming them."""
    outer, learner = layer.get("outer", {}), layer.get("learner", {})
    if isinstance(outer, Mapping) and ("iterations" in outer or "minutes" in outer):
        yield {"outer": {"iterations": None, "minutes": None}}
    if not isinstance(learner, Mapping):
        return
    if "architecture" in learner:
        yield {"learner": to_dict(LearnerConfig()), "validation": {"architectures": ()}}
    if "pool" in learner:
        yield {"learner": {"random_widths": None}}
    if "random_widths" in learner:
        yield {"learner": {"pool": ()}}
