"""Zero-cost proxies from gradients of an untrained network: grad_norm, snip and synflow.

As in Abdelfattah et al., *Zero-Cost Proxies for Lightweight NAS* (ICLR 2021), pruning criteria become scores of a
network by summing them over all parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.config import Positive, config
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers.plain_network import with_plain_weights, without_norms
from gtn_sl.nas.rankers.protocol import RANKERS, Judge, Ranker, Score, Setting


@RANKERS.register("grad_norm")
@config
class GradNorm(Ranker):
    """Sum, over all parameter tensors, of the norm of the loss gradient on one batch of real images."""

    batch_size: Positive = 64
    """Real training images."""

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""

        def judge(candidate: Candidate, seed: int) -> Score:
            _, gradients = _of_loss(candidate, setting, self.batch_size, seed)
            return Score(float(sum(g.norm() for g in gradients)), images=self.batch_size)

        return judge


@RANKERS.register("snip")
@config
class Snip(Ranker):
    """``sum |theta dL/dtheta|``: first-order change of the loss when parameters are removed (Lee et al., ICLR 2019)."""

    batch_size: Positive = 64
    """Real training images."""

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""

        def judge(candidate: Candidate, seed: int) -> Score:
            saliency = _saliency(*_of_loss(candidate, setting, self.batch_size, seed))
            return Score(saliency, images=self.batch_size)

        return judge


@RANKERS.register("synflow")
@config
class Synflow(Ranker):
    """``sum |theta dR/dtheta|``, R the summed logits of an all-ones image, with absolute weights and without norms.

    After Tanaka et al., NeurIPS 2020. Reads no data. Leaky ReLUs are the identity, since all activations are
    non-negative. Computed in float64.
    """

    reads_images: ClassVar[bool] = False

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""
        return lambda candidate, seed: Score(_synflow(candidate.module(setting.task, seed), setting))


def _synflow(module: nn.Module, setting: Setting) -> float:
    flow = without_norms(with_plain_weights(module)).double().eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.abs_()
    parameters = list(flow.parameters())
    ones = torch.ones(1, *setting.task.image_shape, dtype=torch.float64)
    gradients = torch.autograd.grad(flow(ones).sum(), parameters, materialize_grads=True)
    return _saliency(parameters, gradients)


@torch.no_grad()
def _saliency(parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> float:
    return float(sum((p * g).abs().sum() for p, g in zip(parameters, gradients, strict=True)))


def _of_loss(
    candidate: Candidate, setting: Setting, batch_size: int, seed: int
) -> tuple[list[nn.Parameter], tuple[Tensor, ...]]:
    """Returns a fresh network's parameters and the gradient of the loss on one batch with respect to each."""
    module = with_plain_weights(candidate.module(setting.task, seed))
    parameters = list(module.parameters())
    images, labels = setting.batch(batch_size, seed)
    loss = F.cross_entropy(module(images), labels)
    return parameters, torch.autograd.grad(loss, parameters, materialize_grads=True)
