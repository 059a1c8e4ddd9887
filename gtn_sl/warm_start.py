"""A start for the teacher: its generator fitted to training images, so that meta-training begins at real data's level."""

from __future__ import annotations

import logging
import math

import torch

from gtn_core.errors import UsageError
from gtn_core.seeding import Streams
from gtn_sl.data import TaskData
from gtn_sl.teacher import SupervisedTeacher

log = logging.getLogger(__name__)


def warm_start(teacher: SupervisedTeacher, data: TaskData, epochs: int, streams: Streams) -> float:
    """Fits generator and noise, in place, to one training image of the right class per synthetic image.

    The noise starts as the whitened principal components of those images, without which a fit takes many times longer. The
    labels and the inner schedule stay as they are.

    Args:
        teacher: Its curriculum must hold learned noise of shape ``(T, B, latent)``.
        data: Only the train split is used.
        epochs: Passes over the T batches.
        streams: The run's randomness.

    Returns:
        The mean squared error of the last epoch, in normalised units (real pixels have variance 1).

    Raises:
        UsageError: The curriculum learns no noise.
    """
    noise = getattr(teacher.curriculum, "noise", None)
    if not isinstance(noise, torch.nn.Parameter):
        raise UsageError("teacher.warm_start needs a curriculum with learned noise; set it to 0 for this one")
    device = noise.device
    targets = _targets(teacher, data, streams).to(device)  # (T, B, C, H, W)
    with torch.no_grad():
        noise.copy_(_whitened_components(targets, teacher.curriculum.latent, streams).view_as(noise))
    optimizer = torch.optim.Adam(
        [{"params": list(teacher.generator.parameters()), "peak": 0.005}, {"params": [noise], "peak": 0.02}]
    )
    order = streams.torch("warm-start-order")
    condition, error = teacher.labels.condition(), torch.zeros(())
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        error = torch.zeros((), device=device)
        for step in torch.randperm(teacher.steps, generator=order).tolist():
            loss = (teacher.generator(teacher.curriculum(step), condition) - targets[step]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            error += loss.detach() / teacher.steps
    log.info("warm start: mean squared error %.3f after %d epochs", error.item(), epochs)
    return error.item()


def _targets(teacher: SupervisedTeacher, data: TaskData, streams: Streams) -> torch.Tensor:
    """Draws a normalised training image of the right class for each of the T x B places, without repeats where possible."""
    random, train = streams.numpy("warm-start-images"), data.train
    labels = teacher.labels.classes_of_batch.cpu()
    chosen = torch.empty(teacher.steps, teacher.batch_size, dtype=torch.int64)
    for number in range(data.task.classes):
        pool = (train.labels == number).nonzero().flatten().numpy()
        places = (labels == number).repeat(teacher.steps, 1)
        wanted = int(places.sum())
        picked = random.choice(pool, wanted, replace=wanted > len(pool))
        chosen[places] = torch.from_numpy(picked)
    return data.normalise(train.images[chosen])


def _whitened_components(targets: torch.Tensor, count: int, streams: Streams) -> torch.Tensor:
    """Returns the images' first principal components, each scaled to variance 1; random ones where there are too few."""
    flat = targets.flatten(0, 1).flatten(1)
    flat = flat - flat.mean(dim=0)
    _, _, directions = torch.linalg.svd(flat.T @ flat)
    components = flat @ directions[:count].T
    components = components / components.std(dim=0).clamp_min(1e-6)
    missing = count - components.shape[1]
    extra = torch.randn(len(flat), max(0, missing), generator=streams.torch("warm-start-noise")).to(flat.device)
    return torch.cat([components, extra], dim=1)
