"""Learner architectures by name. A new one needs a file here, an import below and a ``@LEARNERS.register`` line."""

from gtn_sl.learners import (
    base,
    base_larger,
    cell_network,
    convnet,
    lenet,
    linear,
    mlp,
    resnet,
    sampled,
    searched,
    vgg,
)
from gtn_sl.learners.form import ACTIVATIONS, NORMS, Form
from gtn_sl.learners.named import architecture
from gtn_sl.learners.registry import LEARNERS, Architecture

__all__ = [
    "ACTIVATIONS",
    "LEARNERS",
    "NORMS",
    "Architecture",
    "Form",
    "architecture",
    "base",
    "base_larger",
    "cell_network",
    "convnet",
    "lenet",
    "linear",
    "mlp",
    "resnet",
    "sampled",
    "searched",
    "vgg",
]
