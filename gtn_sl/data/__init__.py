"""Real image tasks: where files come from, how they are checked and split, how images are augmented. No models."""

from gtn_sl.data.augmentation import AUGMENTATIONS, Augmentation
from gtn_sl.data.described import compare_images, described_task
from gtn_sl.data.own import image_task
from gtn_sl.data.sampling import sample_batches, shuffled_epochs
from gtn_sl.data.task import ImageTask, Split, TaskData
from gtn_sl.data.tasks import TASKS, find_task, is_file, is_own, load_task, names_images, whole_name

__all__ = [
    "AUGMENTATIONS",
    "TASKS",
    "Augmentation",
    "ImageTask",
    "Split",
    "TaskData",
    "compare_images",
    "described_task",
    "find_task",
    "image_task",
    "is_file",
    "is_own",
    "load_task",
    "names_images",
    "sample_batches",
    "shuffled_epochs",
    "whole_name",
]
