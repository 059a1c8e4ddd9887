"""Learned environments as Gymnasium environments; importing this registers those that come with the package.

``gymnasium.make("gtn_envs:<id>")`` does so by itself. Neither torch nor Stable-Baselines3 is imported:
``gtn_envs.sb3`` is a module of its own.
"""

from __future__ import annotations

from gtn_envs.errors import WeightsError
from gtn_envs.learned_reward import LearnedReward
from gtn_envs.registration import register_from_file, register_shipped
from gtn_envs.space_encoding import decode_space, encode_space
from gtn_envs.synthetic_env import SyntheticEnv
from gtn_envs.valid_weights import Weights, make_weights
from gtn_envs.vector_checker import check_vector_env
from gtn_envs.vector_env import SyntheticVectorEnv
from gtn_envs.weights_file import load_environment, read_document, save_environment

__all__ = [
    "LearnedReward",
    "SyntheticEnv",
    "SyntheticVectorEnv",
    "Weights",
    "WeightsError",
    "check_vector_env",
    "decode_space",
    "encode_space",
    "load_environment",
    "make_weights",
    "read_document",
    "register_from_file",
    "save_environment",
]

register_shipped()
