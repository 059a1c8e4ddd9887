"""Supervised learning: data, generators, curricula, learners, baselines, evaluation. No reinforcement learning.

The most used names can be imported from here, e.g. ``from gtn_sl import load_teacher``; torch is imported only then.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gtn_sl.classifier import Classifier, load_learner, save_learner, train_learner
    from gtn_sl.data import load_task
    from gtn_sl.dataset import TeacherDataset
    from gtn_sl.shipped import shipped_teachers
    from gtn_sl.teacher_file import load_teacher

_HOMES = {
    "Classifier": "gtn_sl.classifier",
    "TeacherDataset": "gtn_sl.dataset",
    "load_learner": "gtn_sl.classifier",
    "load_task": "gtn_sl.data",
    "load_teacher": "gtn_sl.teacher_file",
    "save_learner": "gtn_sl.classifier",
    "shipped_teachers": "gtn_sl.shipped",
    "train_learner": "gtn_sl.classifier",
}

__all__ = [
    "Classifier",
    "TeacherDataset",
    "load_learner",
    "load_task",
    "load_teacher",
    "save_learner",
    "shipped_teachers",
    "train_learner",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
