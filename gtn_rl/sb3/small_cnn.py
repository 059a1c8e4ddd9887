"""A convolutional policy for images of any size: Stable-Baselines3's own NatureCNN needs at least 36 x 36 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from gtn_rl.sb3.algorithms import Algorithm

NATURE_LEAST = 36
"""Minimum side length, in pixels, of an image for NatureCNN."""


class SmallCNN(BaseFeaturesExtractor):
    """Two 3x3 convolutions, each followed by 2x2 average pooling, and a linear layer.

    ``PPO("CnnPolicy", env, policy_kwargs={"features_extractor_class": SmallCNN, "net_arch": []})``

    Args:
        observation_space: Images (C, H, W) of at least 4 x 4 pixels, channels first as Stable-Baselines3 passes them.
        features_dim: Number of output features.
        channels: Channels of the first and the second convolution.
    """

    def __init__(
        self, observation_space: gym.spaces.Box, features_dim: int = 128, channels: tuple[int, int] = (32, 64)
    ) -> None:
        super().__init__(observation_space, features_dim)
        depth, height, width = observation_space.shape
        first, second = channels
        self.layers = nn.Sequential(
            nn.Conv2d(depth, first, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(first, second, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(second * (height // 4) * (width // 4), features_dim),
            nn.ReLU(),
        )

    def forward(self, observations: Tensor) -> Tensor:
        """Returns features (n, features_dim) of images (n, C, H, W) with pixels in [0, 1]."""
        features: Tensor = self.layers(observations)
        return features


def fitting_policy(
    entry: Algorithm, space: gym.Space, policy: str | None, policy_kwargs: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Returns the name and keyword arguments of a policy that accepts the observations.

    Args:
        entry: The algorithm.
        space: Space of one observation.
        policy: The requested name; None for a convolutional policy if the observations are images, else an MLP.
        policy_kwargs: Its keyword arguments; ``SmallCNN`` is added for images that are too small for NatureCNN.
    """
    arguments, image = dict(policy_kwargs), is_image_space(space)
    kind = "LstmPolicy" if entry.recurrent else "Policy"
    if policy is None:
        policy = f"Cnn{kind}" if image and f"Cnn{kind}" in entry.load().policy_aliases else f"Mlp{kind}"
    if image and policy.startswith("Cnn") and _shorter_side(space) < NATURE_LEAST:
        arguments.setdefault("features_extractor_class", SmallCNN)
    return policy, arguments


def _shorter_side(space: gym.Space) -> int:
    assert isinstance(space, gym.spaces.Box)
    return min(space.shape[1:] if is_image_space_channels_first(space) else space.shape[:2])
