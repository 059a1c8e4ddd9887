"""Reinforcement learning: real tasks, synthetic-environment models, inner agents, meta-training, transfer evaluation.

Importing it registers the synthetic environments with Gymnasium, as importing ``gtn_envs`` does. The names in ``__all__`` are
public and imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gtn_envs as gtn_envs
from gtn_core.lazy_names import lazy_names

if TYPE_CHECKING:
    from gtn_rl.agents import AGENTS, AgentFamily, InnerAgent, Policies, TaskSpec, Variants
    from gtn_rl.agents.clipping import clip_members
    from gtn_rl.agents.sb3 import SB3Family
    from gtn_rl.config import RLConfig, resolve_config
    from gtn_rl.models.networks import MLP
    from gtn_rl.sb3.small_cnn import SmallCNN
    from gtn_rl.training import meta_train
    from gtn_rl.transfer.outcome import Transfer
    from gtn_rl.transfer.plan import TransferPlan
    from gtn_rl.transfer.single import TrainedAgent, train_agent
    from gtn_rl.transfer.study import transfer_study

_HOMES = {
    "AGENTS": "gtn_rl.agents",
    "MLP": "gtn_rl.models.networks",
    "AgentFamily": "gtn_rl.agents",
    "InnerAgent": "gtn_rl.agents",
    "Policies": "gtn_rl.agents",
    "RLConfig": "gtn_rl.config",
    "SB3Family": "gtn_rl.agents.sb3",
    "SmallCNN": "gtn_rl.sb3.small_cnn",
    "TaskSpec": "gtn_rl.agents",
    "TrainedAgent": "gtn_rl.transfer.single",
    "Transfer": "gtn_rl.transfer.outcome",
    "TransferPlan": "gtn_rl.transfer.plan",
    "Variants": "gtn_rl.agents",
    "clip_members": "gtn_rl.agents.clipping",
    "meta_train": "gtn_rl.training",
    "resolve_config": "gtn_rl.config",
    "train_agent": "gtn_rl.transfer.single",
    "transfer_study": "gtn_rl.transfer.study",
}

__all__ = [
    "AGENTS",
    "MLP",
    "AgentFamily",
    "InnerAgent",
    "Policies",
    "RLConfig",
    "SB3Family",
    "SmallCNN",
    "TaskSpec",
    "TrainedAgent",
    "Transfer",
    "TransferPlan",
    "Variants",
    "clip_members",
    "meta_train",
    "resolve_config",
    "train_agent",
    "transfer_study",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
