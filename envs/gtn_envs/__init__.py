"""Learned environments and data streams as Gymnasium environments.

Importing the package registers the environments that ship with it; ``gymnasium.make("gtn_envs:<id>")`` imports it.
Neither torch nor Stable-Baselines3 is imported: import ``gtn_envs.sb3`` explicitly.
"""

from __future__ import annotations

from gtn_envs.document_file import read_document
from gtn_envs.errors import WeightsError
from gtn_envs.learned_reward import LearnedReward
from gtn_envs.registration import (
    REAL_STREAMS,
    file_of,
    register_from_file,
    register_images,
    register_real,
    register_shipped,
)
from gtn_envs.shipped import shipped_ids
from gtn_envs.space_encoding import decode_space, encode_space
from gtn_envs.stream_env import DataStreamEnv
from gtn_envs.stream_file import load_stream, save_stream
from gtn_envs.stream_vector_env import DataStreamVectorEnv
from gtn_envs.synthetic_env import SyntheticEnv
from gtn_envs.valid_stream import DataStream, make_stream
from gtn_envs.valid_weights import Weights, make_weights
from gtn_envs.vector_checker import check_vector_env
from gtn_envs.vector_env import SyntheticVectorEnv
from gtn_envs.weights_file import load_environment, save_environment

__all__ = [
    "REAL_STREAMS",
    "DataStream",
    "DataStreamEnv",
    "DataStreamVectorEnv",
    "LearnedReward",
    "SyntheticEnv",
    "SyntheticVectorEnv",
    "Weights",
    "WeightsError",
    "check_vector_env",
    "decode_space",
    "encode_space",
    "file_of",
    "load_environment",
    "load_stream",
    "make_stream",
    "make_weights",
    "read_document",
    "register_from_file",
    "register_images",
    "save_environment",
    "save_stream",
    "shipped_ids",
]

register_shipped()
register_real()
