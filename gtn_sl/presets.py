"""Presets: named layers of settings per task, over the defaults of ``gtn_sl.config``.

``fast`` is ours, chosen on validation data for two CPU cores. ``paper`` has the hyper-parameters of Such et al. (ICML 2020) with
our smooth learner; ``original`` has those of the authors' published code, max-pooling included. On CIFAR-10 both used
larger learners, which these two lack so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Settings = Mapping[str, Any]

_PAPER_GENERATOR = {"hidden": 1024, "channels": (128, 64), "latent": 128, "labels": "one-hot", "warm_start": 0}
_WARM = {"warm_start": 60, "noise_lr": 15.0, "labels_lr": 5.0, "schedule_lr": 5.0}
_RANDOM_WIDTHS = ((32, 128), (64, 256), (64, 256))


def _published(
    steps: int,
    meta_batch: int,
    every: int,
    lr: float,
    architecture: str,
    betas: tuple[float, float],
    eps: float,
    augmentation: str = "none",
) -> Settings:
    return {
        "teacher": _PAPER_GENERATOR,
        "learner": {"architecture": architecture, "random_widths": _RANDOM_WIDTHS},
        "inner": {"steps": steps, "batch_size": 128, "lr": 0.02, "momentum": 0.5},
        "meta_loss": {
            "batch_size": meta_batch,
            "every": every,
            "intermediate_batch_size": meta_batch,
            "augmentation": augmentation,
        },
        "outer": {"iterations": 2000, "lr": lr, "final_lr": 0.1, "betas": betas, "eps": eps},
    }


_MNIST_PAPER = _published(32, 128, 1, 0.01, "base_fc", (0.9, 0.999), 1e-8)
_MNIST_ORIGINAL = _published(64, 128, 1, 0.02, "base_fc_maxpool", (0.9, 0.999), 1e-8)

_MNIST_FAST: Settings = {
    "teacher": {"hidden": 256, "channels": (16, 8), "latent": 64, "labels": "soft", **_WARM},
    "learner": {"architecture": "base_fc:32,64,128", "random_widths": ((12, 32), (24, 64), (48, 128))},
    "inner": {"steps": 32, "batch_size": 64, "lr": 0.05, "momentum": 0.9},
    "meta_loss": {"batch_size": 1024, "every": 4, "final_weight": 0.0},
    "outer": {"minutes": 38.0, "lr": 0.002},
}

PRESETS: dict[str, dict[str, Settings]] = {
    "fast": {
        "digits": {
            "teacher": {"hidden": 256, "channels": (32, 16), "latent": 64, "labels": "soft", **_WARM},
            "learner": {"architecture": "base_fc:32,64,128", "random_widths": ((12, 36), (24, 72), (48, 144))},
            "inner": {"steps": 16, "batch_size": 64, "lr": 0.05, "momentum": 0.9},
            "meta_loss": {"batch_size": 512, "every": 4, "final_weight": 0.0},
            "outer": {"minutes": 4.4, "lr": 0.005, "validations": 4},
            "validation": {"learners": 12},
        },
        "mnist": _MNIST_FAST,
        "fashion-mnist": _MNIST_FAST,
        "cifar10": {
            **_MNIST_FAST,
            "learner": {"architecture": "base_fc:32,64,128", "random_widths": ((16, 48), (32, 96), (64, 192))},
            "outer": {"minutes": 120.0, "lr": 0.004},
        },
    },
    "paper": {
        "digits": _MNIST_PAPER,
        "mnist": _MNIST_PAPER,
        "fashion-mnist": _MNIST_PAPER,
        "cifar10": _published(128, 256, 16, 0.002, "base_fc", (0.9, 0.9), 1e-5, "crop-flip"),
    },
    "original": {
        "digits": _MNIST_ORIGINAL,
        "mnist": _MNIST_ORIGINAL,
        "fashion-mnist": _MNIST_ORIGINAL,
        "cifar10": _published(128, 256, 16, 0.004, "base_fc_maxpool", (0.9, 0.9), 1e-5, "crop-flip"),
    },
}
