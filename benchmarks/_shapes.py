"""Random environments with networks of given widths, to measure the cost of a shape before training one."""

from __future__ import annotations

import itertools

import click
import numpy as np

from gtn_envs import Weights, make_weights


def with_shape(weights: Weights, shape: str) -> Weights:
    """Returns an environment of the form ``mdp`` with random networks.

    Args:
        weights: Environment from which spaces, initial states, normalisation and time limit are taken.
        shape: ``activation/widths/widths`` of the hidden layers of the transition and the reward network, e.g.
            ``relu/16/32,32``, or ``tanh//16`` with a linear transition; may be followed by ``/widths`` of a termination
            network.

    Raises:
        click.UsageError: The shape is not of this form.
    """
    activation, *hidden = shape.split("/")
    try:
        widths = [[int(width) for width in part.split(",") if width] for part in hidden]
    except ValueError:
        widths = []
    if activation not in ("tanh", "relu") or len(widths) not in (2, 3):
        raise click.UsageError(f"the shape {shape!r} is not activation/widths/widths, e.g. relu/16/32")
    rng, size, actions = np.random.default_rng(0), weights.tensors["observation.mean"].size, weights.actions
    kept = ("observation.", "initial.", "reward.scale")
    tensors = {name: tensor for name, tensor in weights.tensors.items() if name.startswith(kept)}
    ends = {"transition": (size + actions, size), "reward": (size, actions), "termination": (size, 1)}
    for (network, (inputs, outputs)), layers in zip(ends.items(), widths, strict=False):
        for i, (rows, columns) in enumerate(itertools.pairwise([inputs, *layers, outputs])):
            tensors[f"{network}.{i}.weight"] = rng.normal(0, 0.3 / np.sqrt(rows), (rows, columns)).astype(np.float32)
            tensors[f"{network}.{i}.bias"] = np.full(columns, -1 if network == "termination" else 0, np.float32)
    return make_weights(tensors, {**weights.document, "form": "mdp", "activation": activation})
