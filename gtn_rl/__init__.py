"""Reinforcement learning: real tasks, synthetic-environment models, inner agents, meta-training, transfer evaluation.

Importing it registers the synthetic environments with Gymnasium, as importing ``gtn_envs`` does.
"""

import gtn_envs as gtn_envs
