"""Which argument of a command names a synthetic environment, where a supervised teacher may stand, too."""

from __future__ import annotations

from pathlib import Path


def is_environment(path: Path) -> bool:
    """Says whether an argument names a synthetic environment: a shipped id, or a file (or run) that holds one."""
    import gtn_envs

    if str(path).startswith("GTN-") and not path.exists():
        return True
    try:
        gtn_envs.read_document(environment_file(path))
    except gtn_envs.WeightsError:
        return False
    return True


def environment_file(path: Path) -> Path:
    """Returns the environment's file, of a run the one in its folder; a shipped id stays as it is."""
    return path / "teacher.safetensors" if path.is_dir() else path
