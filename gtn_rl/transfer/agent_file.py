"""The file of a trained agent: Stable-Baselines3's own zip, written atomically."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from gtn_core.whole_file import replacing


def agent_path(path: Path) -> Path:
    """Returns the path with ``.zip`` added if it has no suffix, as Stable-Baselines3's ``load`` expects."""
    return path if path.suffix else path.with_suffix(".zip")


def save_agent(agent: Any, path: Path) -> list[Path]:
    """Saves an agent so that its class's ``load`` can read it.

    Args:
        agent: An agent of Stable-Baselines3.
        path: The zip file; an existing one is replaced once the new one is complete.

    Returns:
        Files written: the zip and, if observations are normalised, ``<name>.vecnormalize.pkl`` for
        ``VecNormalize.load``.

    Raises:
        GTNError: A file cannot be written.
    """
    buffer = io.BytesIO()
    agent.save(buffer)
    with replacing(path) as file:
        file.write(buffer.getvalue())
    normalizer = agent.get_vec_normalize_env()
    if normalizer is None:
        return [path]
    beside = path.with_name(f"{path.stem}.vecnormalize.pkl")
    with replacing(beside) as file:
        pickle.dump(normalizer, file)
    return [path, beside]
