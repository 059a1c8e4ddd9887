"""Real image tasks: where files come from, how they are checked and split, how training images are varied. No models."""

from gtn_sl.data.augmentation import AUGMENTATIONS, Augmentation
from gtn_sl.data.own import image_task, task_elsewhere
from gtn_sl.data.sampling import sample_batches
from gtn_sl.data.task import ImageTask, Split, TaskData
from gtn_sl.data.tasks import TASKS, find_task, is_own, load_task, names_images

__all__ = [
    "AUGMENTATIONS",
    "TASKS",
    "Augmentation",
    "ImageTask",
    "Split",
    "TaskData",
    "find_task",
    "image_task",
    "is_own",
    "load_task",
    "names_images",
    "sample_batches",
    "task_elsewhere",
]
