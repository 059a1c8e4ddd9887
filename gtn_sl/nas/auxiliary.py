"""An auxiliary classifier inside a network, used only in training: it strengthens the gradient to early layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.norms import BatchNorm
from gtn_core.seeding import seeded
from gtn_sl.data import ImageTask
from gtn_sl.nas.spaces.network import Network
from gtn_sl.nas.spaces.operations import SLOPE

CHANNELS = 64


class AuxiliaryHead(nn.Module):
    """Classifies the feature maps at two thirds of a network's depth, which it reads through a forward hook.

    Args:
        network: The ``Network`` to attach to.
        task: The task, for its image shape and number of classes.
        seed: Seed of the head's initial parameters.
    """

    def __init__(self, network: nn.Module, task: ImageTask, seed: int) -> None:
        super().__init__()
        assert isinstance(network, Network)
        self._features = torch.empty(0)
        self._hook = network.auxiliary_point().register_forward_hook(self._listen)
        with torch.no_grad(), seeded(seed):
            network(torch.zeros(2, *task.image_shape))
            self.layers = nn.Sequential(
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(self._features.shape[1], CHANNELS, 1, bias=False),
                BatchNorm(CHANNELS),
                nn.LeakyReLU(SLOPE),
                nn.AdaptiveAvgPool2d(2),
                nn.Flatten(),
                nn.Linear(4 * CHANNELS, task.classes),
            )

    def loss(self, labels: Tensor, label_smoothing: float) -> Tensor:
        """Returns the head's cross-entropy on the network's latest batch, with labels of shape ``(N,)``."""
        return F.cross_entropy(self.layers(self._features), labels, label_smoothing=label_smoothing)

    def take_off(self) -> None:
        """Detaches the head from the network."""
        self._hook.remove()
        self._features = torch.empty(0)

    def _listen(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._features = output
