"""Real image tasks: where files come from, how they are checked and split, how training images are varied. No models."""

from gtn_sl.data.augmentation import AUGMENTATIONS, Augmentation
from gtn_sl.data.sampling import sample_batches
from gtn_sl.data.tasks import TASKS, ImageTask, Split, TaskData, load_task

__all__ = ["AUGMENTATIONS", "TASKS", "Augmentation", "ImageTask", "Split", "TaskData", "load_task", "sample_batches"]
