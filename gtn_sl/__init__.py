"""Supervised learning: data, generators, curricula, learners, baselines, evaluation. No reinforcement learning.

The names in ``__all__`` are public and imported when first used, e.g. by ``from gtn_sl import load_teacher``, and torch with
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gtn_core.lazy_names import lazy_names

if TYPE_CHECKING:
    from gtn_sl.claims import reproduce_claim
    from gtn_sl.classifier import Classifier, load_learner, save_learner, train_learner
    from gtn_sl.compact import compact_teacher
    from gtn_sl.config import MetaTrainConfig, resolve_config
    from gtn_sl.data import TaskData, image_task, load_task
    from gtn_sl.dataset import TeacherDataset
    from gtn_sl.evaluation import Evaluation
    from gtn_sl.export import to_stream
    from gtn_sl.judging import EvaluationPlan, judge
    from gtn_sl.shipped import shipped_teachers
    from gtn_sl.teacher_file import TeacherFile, load_real_images, load_teacher
    from gtn_sl.training import meta_train

_HOMES = {
    "Classifier": "gtn_sl.classifier",
    "Evaluation": "gtn_sl.evaluation",
    "EvaluationPlan": "gtn_sl.judging",
    "MetaTrainConfig": "gtn_sl.config",
    "TaskData": "gtn_sl.data",
    "TeacherDataset": "gtn_sl.dataset",
    "TeacherFile": "gtn_sl.teacher_file",
    "compact_teacher": "gtn_sl.compact",
    "image_task": "gtn_sl.data",
    "judge": "gtn_sl.judging",
    "load_learner": "gtn_sl.classifier",
    "load_real_images": "gtn_sl.teacher_file",
    "load_task": "gtn_sl.data",
    "load_teacher": "gtn_sl.teacher_file",
    "meta_train": "gtn_sl.training",
    "reproduce_claim": "gtn_sl.claims",
    "resolve_config": "gtn_sl.config",
    "save_learner": "gtn_sl.classifier",
    "shipped_teachers": "gtn_sl.shipped",
    "to_stream": "gtn_sl.export",
    "train_learner": "gtn_sl.classifier",
}

__all__ = [
    "Classifier",
    "Evaluation",
    "EvaluationPlan",
    "MetaTrainConfig",
    "TaskData",
    "TeacherDataset",
    "TeacherFile",
    "compact_teacher",
    "image_task",
    "judge",
    "load_learner",
    "load_real_images",
    "load_task",
    "load_teacher",
    "meta_train",
    "reproduce_claim",
    "resolve_config",
    "save_learner",
    "shipped_teachers",
    "to_stream",
    "train_learner",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
