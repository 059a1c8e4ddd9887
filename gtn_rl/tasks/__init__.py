"""Batched real tasks: n copies of a Gymnasium environment, stepped together as tensors."""

from gtn_rl.tasks.protocol import BatchedTask, State, Step, TaskSpec
from gtn_rl.tasks.registry import BATCHED, make_task
from gtn_rl.tasks.rollout import Policy, Rollout, Transitions, rollout
from gtn_rl.tasks.thresholds import SOLVED, threshold_of

__all__ = [
    "BATCHED",
    "SOLVED",
    "BatchedTask",
    "Policy",
    "Rollout",
    "State",
    "Step",
    "TaskSpec",
    "Transitions",
    "make_task",
    "rollout",
    "threshold_of",
]
