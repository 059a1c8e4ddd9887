"""Augmentation of real images, drawn afresh for every batch; nothing else changes training images."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from gtn_core.device import send
from gtn_core.registry import Registry

Augmentation = Callable[[Tensor, torch.Generator, Tensor], Tensor]
"""Takes normalised images ``(N, C, H, W)``, a CPU generator, and the value of black in each channel, ``(C,)``; returns
images of the same shape, device and dtype. What becomes of an image does not depend on the others."""

AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation")

MAX_ROTATION = math.radians(12)
MAX_SCALING = 0.1
MAX_SHIFT = 0.08  # share of the side
CROP_PADDING = 4  # pixels, as is usual for CIFAR-10
CUTOUT_SIDE = 0.5  # share of the image's side: 16 of CIFAR-10's 32 pixels, as in DeVries and Taylor (2017)


@AUGMENTATIONS.register("none")
def none(images: Tensor, generator: torch.Generator, black: Tensor) -> Tensor:
    """Returns the images unchanged."""
    return images


@AUGMENTATIONS.register("affine")
def affine(images: Tensor, generator: torch.Generator, black: Tensor) -> Tensor:
    """Rotates each image by up to 12 degrees, scales it by up to 10%, shifts it by up to 8% of its side (bilinear)."""
    draws = 2 * send(torch.rand(4, len(images), generator=generator).to(images.dtype), images.device) - 1
    angle, scale = MAX_ROTATION * draws[0], 1 + MAX_SCALING * draws[1]
    cos, sin = scale * angle.cos(), scale * angle.sin()
    shift = 2 * MAX_SHIFT * draws[2:]  # a side of the grid is 2 long, however many pixels it has
    aspect = images.shape[2] / images.shape[3]
    matrix = torch.stack([cos, -sin * aspect, shift[0], sin / aspect, cos, shift[1]], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


@AUGMENTATIONS.register("crop-flip")
def crop_flip(images: Tensor, generator: torch.Generator, black: Tensor) -> Tensor:
    """Shifts each image by up to 4 pixels, with black around it, and mirrors half of them: the usual for CIFAR-10."""
    count, _, height, width = images.shape
    around = send(black, images.device).to(images.dtype).view(-1, 1, 1)
    padded = around.repeat(count, 1, height + 2 * CROP_PADDING, width + 2 * CROP_PADDING)
    padded[:, :, CROP_PADDING : CROP_PADDING + height, CROP_PADDING : CROP_PADDING + width] = images
    top, left = send(torch.randint(2 * CROP_PADDING + 1, (2, count), generator=generator), images.device)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    flipped = send(torch.rand(count, generator=generator) < 0.5, images.device)
    columns = torch.where(flipped[:, None], columns.flip(1), columns)
    which = torch.arange(count, device=images.device)
    return padded[which[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@AUGMENTATIONS.register("cutout")
def cutout(images: Tensor, generator: torch.Generator, black: Tensor) -> Tensor:
    """Sets a square of each image to the mean (0); its centre is any pixel, so part of it may lie outside (cutout)."""
    count, _, height, width = images.shape
    inside = []
    for side in (height, width):
        half = int(CUTOUT_SIDE * side) // 2
        offset = torch.arange(side) - torch.randint(side, (count, 1), generator=generator)
        inside.append(send((offset >= -half) & (offset < half), images.device))
    hidden = inside[0][:, :, None] & inside[1][:, None, :]  # (N, H, W)
    return images.masked_fill(hidden[:, None], 0.0)


@AUGMENTATIONS.register("crop-flip-cutout")
def crop_flip_cutout(images: Tensor, generator: torch.Generator, black: Tensor) -> Tensor:
    """Crops and mirrors each image, then cuts out a square."""
    return cutout(crop_flip(images, generator, black), generator, black)
