"""Learners from search spaces, spelled out in their names: ``nas:nb201-small:c3-sk.no-c1.a3.c3``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from gtn_sl.learners.form import Form
from gtn_sl.learners.registry import PREFIXES, Architecture


@PREFIXES.register("nas")
def searched(text: str) -> Architecture:
    """Returns one architecture of a search space, or all of them: each fresh learner is then drawn by its seed.

    Args:
        text: ``SPACE:ENCODING`` or ``SPACE``; see ``gtn_sl.nas.spaces``.

    Raises:
        UsageError: There is no such space, or it has no such architecture.
    """
    from gtn_sl.nas.spaces import find_space  # here, since it imports this package

    name, _, encoding = text.partition(":")
    space = find_space(name)
    chosen = space.decode(encoding) if encoding else None

    def build(image_shape: Sequence[int], classes: int, form: Form) -> nn.Module:
        genotype = chosen or space.sample(np.random.default_rng(int(torch.randint(2**62, ()))))
        return space.build(genotype, image_shape, classes)

    return Architecture(build, Form(()), drawn=chosen is None)
