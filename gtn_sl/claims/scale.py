"""Budgets for re-testing a claim: ``small`` for minutes on two CPU cores, ``full`` as in the paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gtn_core.errors import unknown_name
from gtn_sl.presets import Settings
from gtn_sl.streams.real_classifier import RealTraining


@dataclass(frozen=True)
class Scale:
    """A budget for re-testing a claim.

    Attributes:
        name: Its name.
        preset: The preset that ``settings`` override.
        task: The default task.
        settings: Layer over the preset, by task.
        steps: Total outer steps of a claim's meta-trainings, by task; for a task that is not listed, each meta-training
            has the preset's budget.
        seeds: Meta-trainings of each kind, where a claim is about spread.
        learners: Fresh learners tested per stream.
        control_steps: Outer steps of meta-learning the schedule of real data.
        test_images: Number of test images for testing learners, drawn at random; ``None`` for all.
        curve_images: Number of those used for accuracy curves.
        narrowing: Divisor of the widths of learners that a claim names.
        images_per_class: Sizes of distilled data sets.
        convnet: The ConvNets that images are distilled on.
        warm_start: Warm-start epochs, where a claim compares with a teacher started from real images.
        reader: How a classifier of real images is trained.
    """

    name: str
    preset: str
    task: str
    settings: Mapping[str, Settings] = field(default_factory=dict)
    steps: Mapping[str, int] = field(default_factory=dict)
    seeds: int = 1
    learners: int = 10
    control_steps: int = 100
    test_images: int | None = None
    curve_images: int = 1000
    narrowing: int = 1
    images_per_class: tuple[int, ...] = (1, 10, 50)
    convnet: str = "convnet:64-192,depth=3"
    warm_start: int = 60
    reader: RealTraining = field(default_factory=RealTraining)


def _small(learner: str, widths: tuple[tuple[int, int], ...], steps: int, batch_size: int, lr: float) -> Settings:
    return {
        # from scratch and with one-hot labels in every claim, since not every curriculum and generator has a warm start
        "teacher": {"warm_start": 0, "labels": "one-hot", "noise_lr": 5.0},
        "learner": {"architecture": learner, "random_widths": widths},
        "inner": {
            "steps": steps,
            "batch_size": batch_size,
            "optimizer": "sgd",
            "lr": 0.05,
            "momentum": 0.9,
            "fan_in": 0,
        },
        "meta_loss": {"batch_size": 256, "every": 4, "final_weight": 0.0},
        "outer": {"lr": lr, "validations": 8},
        "validation": {"learners": 3, "images": 500},
    }


_NARROW = ("base_fc:16,32,64", ((8, 24), (16, 48), (32, 96)))
_NARROWER = ("base_fc:8,16,32", ((6, 12), (12, 24), (24, 48)))

SMALL = Scale(
    "small",
    "fast",
    "digits",
    settings={
        "digits": _small(*_NARROW, steps=16, batch_size=32, lr=0.01),
        **{
            name: _small(*_NARROWER, steps=16, batch_size=32, lr=0.01) for name in ("mnist", "fashion-mnist", "cifar10")
        },
    },
    steps={"digits": 4000, "mnist": 2000, "fashion-mnist": 2000, "cifar10": 1200},
    seeds=2,
    learners=10,
    control_steps=150,
    test_images=2000,
    curve_images=600,
    narrowing=4,
    images_per_class=(1, 10),
    convnet="convnet:16-48,depth=3",
)

FULL = Scale(
    "full",
    "paper",
    "mnist",
    seeds=5,
    learners=20,
    control_steps=300,
    curve_images=2000,
    reader=RealTraining(steps=3000),
)

SCALES = {scale.name: scale for scale in (SMALL, FULL)}


def find_scale(name: str) -> Scale:
    """Returns a budget by its name.

    Raises:
        UsageError: There is no such budget.
    """
    if name not in SCALES:
        raise unknown_name("budget", name, SCALES)
    return SCALES[name]
