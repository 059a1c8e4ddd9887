"""Presets: named layers of settings per task, over the defaults of ``gtn_sl.config``.

``fast`` is ours, chosen on validation data for two CPU cores, with a pool of learners. ``paper`` has the
hyper-parameters of Such et al. (ICML 2020) with our smooth learner; ``original`` has those of the authors' published
code, including max-pooling. ``search`` is ``fast`` for a teacher that is to rank architectures (docs/nas.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gtn_sl.data import ImageTask

Settings = Mapping[str, Any]

_PAPER_GENERATOR = {"hidden": 1024, "channels": (128, 64), "latent": 128, "labels": "one-hot", "warm_start": 0}
_WARM = {"warm_start": 60, "noise_lr": 15.0, "labels_lr": 5.0, "schedule_lr": 5.0}

_POOL = (
    *("base_fc:12-32,24-64,48-128", "base_fc:12-32,24-64,48-128"),
    "base_fc:8-24,16-48,32-96,norm=none",
    "base:12-32,24-64",
    *("linear:64-256,32-128", "linear:64-256,32-128,norm=none"),
    "base_larger2:5-10,10-20,16-32",
    "base_larger3:5-10,10-20,16-32,32-64",
    "base_larger3_global_pooling:5-10,10-20,16-32",
    "base_larger4:4-8,8-16,12-24,32-64",
    "sampled:6-12",
)
"""Narrow enough that an outer step costs hardly more than with ``base_fc`` alone; docs/learners.md has the times."""

_LEARNERS: Settings = {
    "architecture": "base_fc:32,64,128",
    "pool": _POOL,
    "width_scale": (0.75, 1.5),
    "norms": ("own", "own", "batch", "group"),
    "activations": ("own", "own", "relu", "gelu", "silu", "elu", "tanh"),
}
_JUDGES: Settings = {
    "architectures": (
        "base_fc:32,64,128",
        "base:32,64",
        "linear",
        "base_larger2:16,32,64",
        "base_larger4:16,32,64,128",
    ),
    "learners": 2,
    "images": 2000,
}

ADAM: Settings = {"optimizer": "adam", "lr": 0.005, "momentum": 0.8, "eps": 1e-3, "fan_in": 144}
"""One learning rate suits every learner of the pool. With SGD none does: those with global pooling hardly start."""

_SPACE = "nas:nb201-small"
_SEARCH: Settings = {
    "learner": {
        **_LEARNERS,
        "pool": (
            *(_SPACE,) * 8,
            *("base_fc:12-32,24-64,48-128", "base:12-32,24-64", "base_larger2:5-10,10-20,16-32", "sampled:6-12"),
        ),
    },
    "validation": {
        **_JUDGES,
        "architectures": tuple(
            f"{_SPACE}:{encoding}"
            for encoding in (
                "c3-c3.c3-c3.c3.c3",
                "c3-sk.no-c1.a3.c3",
                "a3-c1.c1-c3.sk.sk",
                "sk-c3.a3-no.c1.no",
                "c1-no.a3-sk.a3.c1",
            )
        ),
    },
}
"""Two in three learners are architectures of the space, drawn afresh each time; the judges are fixed, dense and sparse.
All of them are narrow, so no rate has to fall with the fan-in."""


def _published(
    steps: int,
    meta_batch: int,
    every: int,
    lr: float,
    architecture: str,
    betas: tuple[float, float],
    eps: float,
    augmentation: str = "none",
    judge: str | None = None,
) -> Settings:
    return {
        "teacher": _PAPER_GENERATOR,
        "learner": {"architecture": architecture},
        "inner": {"steps": steps, "batch_size": 128, "lr": 0.02, "momentum": 0.5},
        "meta_loss": {
            "batch_size": meta_batch,
            "every": every,
            "intermediate_batch_size": meta_batch,
            "augmentation": augmentation,
        },
        "outer": {"iterations": 2000, "lr": lr, "final_lr": 0.1, "betas": betas, "eps": eps},
        "validation": {"architectures": (judge,) if judge else ()},
    }


_MNIST_PAPER = _published(32, 128, 1, 0.01, "base_fc", (0.9, 0.999), 1e-8)
_MNIST_ORIGINAL = _published(64, 128, 1, 0.02, "base_fc_maxpool", (0.9, 0.999), 1e-8)

_MNIST_FAST: Settings = {
    "teacher": {"hidden": 256, "channels": (16, 8), "latent": 64, "labels": "soft", **_WARM},
    "learner": _LEARNERS,
    "inner": {"steps": 32, "batch_size": 64, **ADAM},
    "meta_loss": {"batch_size": 1024, "every": 4, "final_weight": 0.0},
    "outer": {"minutes": 48.0, "lr": 0.0015, "clip": 1.0, "validations": 10},
    "validation": _JUDGES,
}

_FAST: dict[str, Settings] = {
    "digits": {
        "teacher": {"hidden": 256, "channels": (32, 16), "latent": 64, "labels": "soft", **_WARM},
        "learner": _LEARNERS,
        "inner": {"steps": 32, "batch_size": 64, **ADAM},
        "meta_loss": {"batch_size": 512, "every": 4, "final_weight": 0.0},
        "outer": {"minutes": 4.4, "lr": 0.0015, "clip": 1.0, "validations": 8},
        "validation": {**_JUDGES, "learners": 4},
    },
    "mnist": _MNIST_FAST,
    "fashion-mnist": _MNIST_FAST,
    "cifar10": {
        **_MNIST_FAST,
        "learner": {**_LEARNERS, "width_scale": (1.0, 2.0)},
        "outer": {"minutes": 120.0, "lr": 0.004, "clip": 1.0},
    },
}

PRESETS: dict[str, dict[str, Settings]] = {
    "fast": _FAST,
    "search": {
        task: {**settings, **_SEARCH, "inner": {**settings["inner"], "fan_in": 0}} for task, settings in _FAST.items()
    },
    "paper": {
        "digits": _MNIST_PAPER,
        "mnist": _MNIST_PAPER,
        "fashion-mnist": _MNIST_PAPER,
        "cifar10": _published(128, 256, 16, 0.002, "base_larger2", (0.9, 0.9), 1e-5, "crop-flip", "cell_network"),
    },
    "original": {
        "digits": _MNIST_ORIGINAL,
        "mnist": _MNIST_ORIGINAL,
        "fashion-mnist": _MNIST_ORIGINAL,
        "cifar10": _published(128, 256, 16, 0.004, "base_larger2", (0.9, 0.9), 1e-5, "crop-flip", "cell_network"),
    },
}


def alike(task: ImageTask) -> str:
    """Returns the task of ``PRESETS`` whose settings a task has: itself or, for a user's own, the most similar."""
    if task.name in _FAST:
        return task.name
    channels, height, width = task.image_shape
    if channels > 1:
        return "cifar10"
    return "digits" if max(height, width) <= 12 else "mnist"
