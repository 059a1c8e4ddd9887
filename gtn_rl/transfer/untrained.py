"""The untrained-teacher control: the same environment with random networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtn_core.errors import UsageError
from gtn_envs import load_environment, save_environment
from gtn_rl.environments import Environment
from gtn_rl.provenance import TOLD

NETWORKS = ("reward.", "transition.", "termination.")


def can_be_untrained(env: Environment) -> bool:
    """Returns whether an environment is a teacher with networks; a data stream's file only holds what one made."""
    return env.file is not None and not env.stream


def write_untrained(env: Environment, path: Path, seed: int) -> None:
    """Writes a teacher's file with newly drawn networks.

    Every weight and bias is drawn from a normal distribution with mean 0 and the standard deviation of its tensor in
    the teacher, so that rewards and dynamics keep their size; a tensor with one number has none, and stays. So do the
    normalisation of states, the initial states and the reward's scale: the control only lacks what the networks have
    learned.

    Args:
        env: The teacher.
        path: Path of the file to write.
        seed: Seed of the draws.

    Raises:
        UsageError: The environment is not a teacher with networks.
    """
    if not can_be_untrained(env):
        raise UsageError(f"{env.name} is not a teacher from this package: it has no networks to reinitialize")
    assert env.file is not None
    weights = load_environment(env.file)
    random = np.random.default_rng(seed)
    tensors = {
        name: random.normal(0.0, tensor.std(), tensor.shape)
        if name.startswith(NETWORKS) and tensor.size > 1
        else tensor
        for name, tensor in sorted(weights.tensors.items())
    }
    document = {key: value for key, value in weights.document.items() if key not in TOLD}
    save_environment(path, tensors, {**document, "untrained": {"teacher": env.digest, "seed": seed}})
