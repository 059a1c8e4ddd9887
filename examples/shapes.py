"""A custom data set: circles, squares and triangles in noise, drawn here.

Run in this folder: gtn-cli meta-train --task shapes:shapes --minutes 3 --out runs/shapes
"""

import numpy as np

from gtn_sl import image_task


def draw(count, random):
    """Returns uint8 images of shape (count, 16, 16) and their class labels of shape (count,)."""
    labels = np.arange(count) % 3
    y, x = np.mgrid[:16, :16]
    centre_x, centre_y = random.uniform(6, 10, (2, count, 1, 1))
    size = random.uniform(3, 6, (count, 1, 1))
    across, down = abs(x - centre_x), y - centre_y
    circle = across**2 + down**2 < size**2
    square = np.maximum(across, abs(down)) < 0.9 * size
    triangle = (2 * across < down + size) & (down < size)
    inside = np.choose(labels[:, None, None], [circle, square, triangle])
    pixels = random.normal(60 + 100 * inside, 40)
    return pixels.clip(0, 255).astype(np.uint8), labels


RANDOM = np.random.default_rng(0)
shapes = image_task("Shapes", *draw(1200, RANDOM), *draw(600, RANDOM), class_names=["circle", "square", "triangle"])
