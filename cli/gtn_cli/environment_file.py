"""Which argument of a command names an environment's file, where a supervised teacher may stand, too."""

from __future__ import annotations

from pathlib import Path

from gtn_core.errors import GTNError


def kind_of(path: Path) -> str | None:
    """Returns the kind of environment that an argument names (``gtn_envs.document.KINDS``); None for anything else.

    Args:
        path: A shipped id, or a file (or run) that holds one.

    Raises:
        GTNError: It looks like the id of a shipped environment, and there is none of that name.
    """
    import gtn_envs
    from gtn_envs.document_file import resolve

    shipped = str(path).startswith("GTN-") and not path.exists()
    try:
        return str(gtn_envs.read_document(resolve(path) if shipped else environment_file(path))["kind"])
    except gtn_envs.WeightsError as error:
        if shipped:
            raise GTNError(str(error)) from error
        return None


def environment_file(path: Path) -> Path:
    """Returns the environment's file, of a run the one in its folder; a shipped id stays as it is."""
    return path / "teacher.safetensors" if path.is_dir() else path
