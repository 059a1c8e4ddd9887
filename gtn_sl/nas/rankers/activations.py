"""Zero-cost proxies from what a network that has not been trained makes of a batch: jacob_cov and naswot.

Both ask whether different images are told apart (Mellor et al., *Neural Architecture Search without Training*: the first version
of 2020 has jacob_cov, that of ICML 2021 naswot).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gtn_core.config import AtLeastTwo, config
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers.protocol import RANKERS, Judge, Ranker, Score, Setting

SMALL = 1e-5  # added to the eigenvalues, as in the published code


@RANKERS.register("jacob_cov")
@config
class JacobianCovariance(Ranker):
    """``- sum_i log(v_i + k) + 1 / (v_i + k)`` over the eigenvalues v of the correlations between images' Jacobians."""

    batch_size: AtLeastTwo = 64
    """Real training images, no two of them the same."""

    def identity(self) -> dict[str, Any]:
        """See ``Ranker.identity``: scores of batches that held repeats are others."""
        return {**super().identity(), "images": "different"}

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""

        def judge(candidate: Candidate, seed: int) -> Score:
            images = setting.different(self.batch_size, seed)
            jacobian = _jacobian(candidate.module(setting.task, seed), images)
            return Score(_told_apart(jacobian.numpy()), images=len(images))

        return judge


@RANKERS.register("naswot")
@config
class Naswot(Ranker):
    """``log |det K|``, with K the number of units that are on for both of two images, or off for both."""

    batch_size: AtLeastTwo = 64
    """Real training images, no two of them the same."""

    def identity(self) -> dict[str, Any]:
        """See ``Ranker.identity``: scores of batches that held repeats are others."""
        return {**super().identity(), "images": "different"}

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""

        def judge(candidate: Candidate, seed: int) -> Score:
            images = setting.different(self.batch_size, seed)
            kernel = _agreement(candidate.module(setting.task, seed), images)
            return Score(float(torch.linalg.slogdet(kernel).logabsdet), images=len(images))

        return judge


def _jacobian(module: nn.Module, images: Tensor) -> Tensor:
    """Returns each image's gradient of the sum of its logits, shape ``(N, pixels)``."""
    inputs = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module(inputs).sum(), inputs, materialize_grads=True, allow_unused=True)
    return gradient.flatten(1)


def _told_apart(jacobian: NDArray[np.float32]) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):  # a network that sees nothing: the score is then not a number
        correlation = np.corrcoef(jacobian)
    if not np.isfinite(correlation).all():
        return float("nan")
    eigenvalues = np.linalg.eigvalsh(correlation)
    return float(-np.sum(np.log(eigenvalues + SMALL) + 1 / (eigenvalues + SMALL)))


def _agreement(module: nn.Module, images: Tensor) -> Tensor:
    """Returns the number of activations in which each two images agree, shape ``(N, N)``, float64."""
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64)

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        on = (inputs[0].detach().flatten(1) > 0).float()
        kernel.add_(on @ on.T + (1 - on) @ (1 - on).T)

    hooks = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, nn.LeakyReLU | nn.ReLU)]
    with torch.no_grad():
        module(images)
    for hook in hooks:
        hook.remove()
    return kernel
