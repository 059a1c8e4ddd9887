"""What a supervised meta-training can be told, each setting documented in place; presets are layers over these defaults."""

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
    """The teacher's architecture and start; ``docs/teachers.md`` shows how its parts go together."""

    generator: str = "conditional"
    """What makes the images: ``conditional``, ``joint``, ``dcgan``, or ``pixels``, which has no layers: the stored noise is the
    images."""
    weight_norm: bool = True
    """Whether the generator's layers have weight norm."""
    hidden: Positive = 256
    """Width of the generator's first linear layer."""
    channels: tuple[Positive, Positive] = (16, 8)
    """The generator's feature maps at a quarter and at half of the resolution."""
    latent: Positive = 64
    """Length of a noise vector; ``pixels`` takes one per pixel."""
    curriculum: str = "full"
    """Which noise comes when: ``full``, ``reversed``, ``shuffled-batches``, ``all-shuffled``, ``random-fixed``, ``gaussian``,
    ``none`` (fresh noise and labels without end), or ``closed-loop``."""
    samples: Positive | None = None
    """How many samples there are, where each is to come again and again: from ``inner.batch_size`` (every batch is the whole set)
    to T x B; ``None`` makes one for each place."""
    labels: str = "soft"
    """What the learner is taught: ``one-hot`` (every class in turn), ``random``, ``soft`` (learned), or ``generated``."""
    noise_lr: PositiveReal = 1.0
    """Outer learning rate of learned noise (with ``pixels``, of the images), as a multiple of ``outer.lr``; the generator's own
    multiple is 1."""
    labels_lr: PositiveReal = 1.0
    """The same for learned labels."""
    schedule_lr: PositiveReal = 1.0
    """The same for inner learning rates (their logarithm) and momenta (their logit)."""
    warm_start: Natural = 0
    """Epochs of fitting the generator to training images before meta-training; 0 starts from random weights. ``pixels``, which
    needs no fitting, starts from the images themselves whatever the number."""
    start: str | None = None
    """A teacher to start from: the name of a shipped one, a run folder or a file. Its generator, curriculum, labels and inner
    loop are the run's; learners, images, learning rates and budget may be others."""


@config
class InnerConfig:
    """The inner loop."""

    steps: Positive = 32
    """T, inner steps."""
    batch_size: Positive = 64
    """B, synthetic images a step."""
    optimizer: str = "sgd"
    """``sgd``, ``rmsprop`` or ``adam``."""
    eps: PositiveReal = 1e-8
    """Added to the root of squared gradients by ``rmsprop`` and ``adam``. Meta-gradients through a step of Adam grow with its
    inverse where a parameter's gradient is small; 1e-4 costs a learner nothing."""
    lr: PositiveReal = 0.02
    """Learning rate of every step before meta-training."""
    momentum: PositiveReal = 0.9
    """Momentum (Adam: beta1) of every step before meta-training."""
    fan_in: Natural = 0
    """Inputs of a weight up to which it has the whole learning rate; with more it has as much less of it, so that a rate of Adam
    suits wide networks, too. 0 gives all the same rate."""
    max_momentum: BelowOne = MAX_MOMENTUM
    """Bound on the learned momentum."""
    learn_schedule: bool = True
    """Whether learning rate and momentum of each step are meta-learned."""
    grow: Share = 0.0
    """Share of the run over which the number of inner steps grows from ``first_steps`` to ``steps``; 0 for no growth."""
    first_steps: Positive = 1
    """Inner steps of the first outer step, where the number grows."""

    def fresh_optimizer(self) -> UnboundOptimizer:
        """Returns the inner optimizer.

        Raises:
            UsageError: Its name is unknown.
        """
        return inner_optimizer(self.optimizer, self.eps, self.fan_in)

    def fresh_schedule(self, *, learned: bool = True) -> Schedule:
        """Returns learning rates and momenta as they are before meta-training; ``learned`` says whether they will be.

        Raises:
            ValueError: A value is out of its range.
        """
        return Schedule(self.steps, self.lr, self.momentum, max_momentum=self.max_momentum, learned=learned)


@config
class MetaLossConfig:
    """How a learner is judged on real training data, for the meta-gradient."""

    batch_size: Positive = 1024
    """Real images for the loss after the last step."""
    every: Natural = 0
    """An intermediate loss after every so many steps; 0 for none."""
    weight: NaturalReal = 1.0
    """Weight of the mean of the intermediate losses at the start of the run; the final loss has 1."""
    final_weight: NaturalReal = 1.0
    """The same at the end of the run; between, it moves linearly."""
    intermediate_batch_size: Positive = 128
    """Real images for an intermediate loss."""
    augmentation: str = "none"
    """How these images are varied: ``none``, ``affine``, ``crop-flip``, ``cutout`` or ``crop-flip-cutout``."""
    autoencoder: NaturalReal = 0.0
    """Weight of an outer loss beside the meta-loss: how well the generator decodes what an encoder, learned with it, makes of
    ``inner.batch_size`` real images; 0 for none."""

    def sizes(self, steps: int) -> dict[int, int]:
        """Returns the real images of each loss, by the inner steps after which it is taken; the last is after all ``steps``."""
        between = range(self.every, steps, self.every) if self.every else ()
        return dict.fromkeys(between, self.intermediate_batch_size) | {steps: self.batch_size}


@config
class ValidationConfig:
    """How the teacher is judged during meta-training."""

    architectures: tuple[str, ...] = ()
    """Learners to judge by, whose mean accuracy decides which teacher is best. Empty: ``learner.architecture`` alone."""
    learners: Positive = 3
    """Fresh learners of each, the same at every validation."""
    images: Positive = 5000
    """Validation images at most."""


@config
class ComputeConfig:
    """Where and how it is computed."""

    device: str = "cpu"
    """``cpu``, ``cuda`` or ``cuda:N``."""
    threads: Threads | None = None
    """CPU threads of each process; ``None`` takes as many of torch's default as are fastest, and of several processes each its
    part. A resumed run keeps what it started with, so that sums stay the same; where other ``sharers`` are there, they share
    as many."""
    sharers: Positive | None = None
    """Processes of the run on each machine; a run writes down how many it finds."""
    memory_mib: PositiveReal | None = None
    """What an outer step may take beside teacher and data; graphs of inner steps are kept as far as it goes. ``None`` is 4096 on
    a CPU, and on a GPU what is free of it."""
    plan: StepPlan | None = None
    """Layout, precision, back-end and kept graphs; ``None`` chooses by a micro-benchmark."""


@config
class MetaTrainConfig:
    """One supervised meta-training."""

    task: str = "digits"
    """A name of ``gtn_sl.data.TASKS``, or a user's own images: ``my_package:my_task``, or an ``.npz`` file."""
    preset: str = "fast"
    """The preset that the other settings started from."""
    seed: Natural = 0
    """Root of every random stream."""
    data_dir: str | None = None
    """Folder of the image files; ``None`` looks at GTN_DATA_DIR, then in the user's cache."""
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


def resolve_config(task: str, preset: str, *layers: Mapping[str, Any]) -> MetaTrainConfig:
    """Builds the config of a run from a task, a preset, and what the user adds.

    Args:
        task: As in ``gtn_sl.data.find_task``.
        preset: ``fast``, ``search``, ``paper`` or ``original``.
        layers: Nested dictionaries, later ones winning. A budget (``iterations`` or ``minutes``) in one replaces the budget of
            those before, and a learner (``learner.architecture``) the learners of those before, pool and judges included; a pool
            replaces random widths, and they a pool. A teacher to start from (``teacher.start``) replaces the preset's settings
            of teacher and inner loop by its own.

    Raises:
        UsageError: A name, key or value is not accepted.
        DataError: The task is a file that is absent, or holds no data set.
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
        raise UsageError("give one budget: either --iterations or --minutes")
    if resolved.inner.first_steps > resolved.inner.steps:
        first, last = resolved.inner.first_steps, resolved.inner.steps
        raise UsageError(f"inner.first_steps={first} is more than inner.steps={last}, which the inner steps grow to")
    if start is not None:
        refuse_another_form(resolved, resolve(MetaTrainConfig, *before))
        teacher = dataclasses.replace(resolved.teacher, start=whole_path(start))
        resolved = dataclasses.replace(resolved, teacher=teacher)
    return resolved


def _replaced(layer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields what a layer puts aside of those before, though it does not name it."""
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
