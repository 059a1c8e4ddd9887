"""The teacher's warm start: its samples are fitted to training images, so that meta-training starts at their level."""

from __future__ import annotations

import logging

import torch

from gtn_core.annealing import half_cosine
from gtn_core.seeding import Streams
from gtn_sl.autoencoder import reconstruction_loss
from gtn_sl.data import TaskData
from gtn_sl.teacher import SupervisedTeacher

log = logging.getLogger(__name__)


def warm_start(teacher: SupervisedTeacher, data: TaskData, epochs: int, streams: Streams) -> float:
    """Fits a teacher, in place, to one training image of the right class per sample.

    Pixels become those images. For a generator that is a network, learned noise starts as the whitened principal
    components of the images, without which fitting takes many times longer, and both are fitted; noise that is not
    learned stays, and the generator alone is fitted. Labels and the inner schedule stay as they are.

    Args:
        teacher: A teacher whose curriculum has samples (``gtn_sl.combinations`` refuses a warm start of others).
        data: The task's data; only the train split is used.
        epochs: Passes over the samples.
        streams: The run's randomness.

    Returns:
        The mean loss of the last epoch: the squared error in normalised units (real pixels have variance 1), plus the
        cross-entropy of the labels if the generator makes them. 0 for pixels.
    """
    stored = teacher.curriculum.stored()  # (M, latent)
    targets = _targets(teacher, data, streams).to(stored.device)  # (M, C, H, W)
    if not teacher.generator.is_network:
        stored.detach().copy_(targets.flatten(1))
        log.info("warm start: set the images to %d training images", len(targets))
        return 0.0
    if stored.requires_grad:
        stored.detach().copy_(_whitened_components(targets, teacher.curriculum.latent, streams))
    loss = _fit(teacher, targets, epochs, streams)
    log.info("warm start: mean reconstruction loss %.3f after %d epochs", loss, epochs)
    return loss


def _fit(teacher: SupervisedTeacher, targets: torch.Tensor, epochs: int, streams: Streams) -> float:
    """Fits generator and stored noise to targets ``(M, C, H, W)``, by batches; returns the last epoch's mean loss."""
    optimizer = torch.optim.Adam(
        [
            {"params": list(teacher.generator.parameters()), "peak": 0.005},
            {"params": [p for p in teacher.curriculum.parameters() if p.requires_grad], "peak": 0.02},
        ]
    )
    batches = torch.arange(len(targets), device=targets.device).split(teacher.batch_size)
    if len(batches[-1]) < 2:  # too small to normalise over
        batches = (*batches[:-2], torch.cat(batches[-2:]))
    order, error = streams.torch("warm-start-order"), torch.zeros(())
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * half_cosine(epoch / epochs)
        error = torch.zeros((), device=targets.device)
        for number in torch.randperm(len(batches), generator=order).tolist():
            samples = batches[number]
            told = teacher.labels.one_hot(teacher.labels.classes_of_samples[samples])
            noise = teacher.curriculum.stored()[samples]
            loss = reconstruction_loss(teacher.generator, noise, told, targets[samples])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            error += loss.detach() / len(batches)
    return error.item()


def _targets(teacher: SupervisedTeacher, data: TaskData, streams: Streams) -> torch.Tensor:
    """Draws a normalised training image of the right class for each sample, without repeats where possible."""
    random, train = streams.numpy("warm-start-images"), data.train
    labels = teacher.labels.classes_of_samples.cpu()
    chosen = torch.empty(len(labels), dtype=torch.int64)
    for number in range(data.task.classes):
        pool = (train.labels == number).nonzero().flatten().numpy()
        wanted = int((labels == number).sum())
        picked = random.choice(pool, wanted, replace=wanted > len(pool))
        chosen[labels == number] = torch.from_numpy(picked)
    return data.normalise(train.images[chosen])


def _whitened_components(targets: torch.Tensor, count: int, streams: Streams) -> torch.Tensor:
    """Returns the first principal components ``(M, count)``, scaled to variance 1; random ones if there are too few."""
    flat = targets.flatten(1)
    flat = flat - flat.mean(dim=0)
    if flat.shape[1] <= len(flat):
        _, values, directions = torch.linalg.svd(flat.T @ flat)
        components = flat @ directions[_known(values)][:count].T
    else:  # more pixels than samples: the same up to its sign, from a smaller matrix
        vectors, values, _ = torch.linalg.svd(flat @ flat.T)
        components = (vectors * values.sqrt())[:, _known(values)][:, :count]
    components = components / components.std(dim=0)
    missing = count - components.shape[1]
    extra = torch.randn(len(flat), max(0, missing), generator=streams.torch("warm-start-noise")).to(flat.device)
    return torch.cat([components, extra], dim=1)


def _known(values: torch.Tensor) -> torch.Tensor:
    """Returns which singular values, in descending order, are more than rounding errors."""
    return values > values[0] * len(values) * torch.finfo(values.dtype).eps
