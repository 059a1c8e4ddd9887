"""Zero-cost proxies for how well an untrained network distinguishes the images of a batch: jacob_cov and naswot.

From Mellor et al., *Neural Architecture Search without Training*: jacob_cov is in the first version of 2020, naswot in
that of ICML 2021.
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
    """``-sum_i [log(v_i + k) + 1 / (v_i + k)]``, v the eigenvalues of the correlations between images' Jacobians."""

    batch_size: AtLeastTwo = 64
    """Distinct real training images."""

    def identity(self) -> dict[str, Any]:
        """See ``Ranker.identity``: distinguishes these scores from earlier ones on batches with repeated images."""
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
    """``log |det K|``, with K_ij the number of units that are on for both images i and j, or off for both."""

    batch_size: AtLeastTwo = 64
    """Distinct real training images."""

    def identity(self) -> dict[str, Any]:
        """See ``Ranker.identity``: distinguishes these scores from earlier ones on batches with repeated images."""
        return {**super().identity(), "images": "different"}

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""

        def judge(candidate: Candidate, seed: int) -> Score:
            images = setting.different(self.batch_size, seed)
            kernel = _agreement(candidate.module(setting.task, seed), images)
            return Score(float(torch.linalg.slogdet(kernel).logabsdet), images=len(images))

        return judge


def _jacobian(module: nn.Module, images: Tensor) -> Tensor:
    """Returns the gradient of the sum of the logits with respect to each image, shape ``(N, C * H * W)``."""
    inputs = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module(inputs).sum(), inputs, materialize_grads=True, allow_unused=True)
    return gradient.flatten(1)


def _told_apart(jacobian: NDArray[np.float32]) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):  # the score is NaN if the logits do not depend on the image
        correlation = np.corrcoef(jacobian)
    if not np.isfinite(correlation).all():
        return float("nan")
    eigenvalues = np.linalg.eigvalsh(correlation)
    return float(-np.sum(np.log(eigenvalues + SMALL) + 1 / (eigenvalues + SMALL)))


def _agreement(module: nn.Module, images: Tensor) -> Tensor:
    """Returns the number of activations in which each pair of images agrees, shape ``(N, N)``, float64."""
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
