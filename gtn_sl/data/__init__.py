"""Real image tasks: where the files come from, how they are checked, how they are split. No augmentation, no models."""

from gtn_sl.data.sampling import sample_batches
from gtn_sl.data.tasks import TASKS, ImageTask, Split, TaskData, load_task

__all__ = ["TASKS", "ImageTask", "Split", "TaskData", "load_task", "sample_batches"]
