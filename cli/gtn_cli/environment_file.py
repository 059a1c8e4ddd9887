"""Recognition of arguments that name a synthetic environment, for commands that also accept a teacher of images."""

from __future__ import annotations

from pathlib import Path

from gtn_core.errors import GTNError, unknown_name


def kind_of(path: Path) -> str | None:
    """Returns the kind of environment that an argument names (``gtn_envs.document.KINDS``), or ``None``.

    Args:
        path: A shipped id, a file or a run folder.

    Raises:
        UnknownNameError: The argument looks like the id of a shipped environment, but there is none of that name.
        GTNError: The file of the shipped environment is damaged.
    """
    import gtn_envs
    from gtn_envs.document_file import resolve
    from gtn_envs.shipped import shipped_ids

    file = environment_file(path)
    shipped = str(file).startswith("GTN-") and not file.is_file()
    if shipped and file.suffix != ".safetensors" and str(file) not in shipped_ids():
        raise unknown_name("shipped environment", str(file), shipped_ids())
    try:
        return str(gtn_envs.read_document(resolve(file) if shipped else file)["kind"])
    except gtn_envs.WeightsError as error:
        if shipped:
            raise GTNError(str(error)) from error
        return None


def environment_file(path: Path) -> Path:
    """Returns the file that an argument names: that in a run folder, a shipped id without ``gtn_envs:``, or a path."""
    from gtn_envs.shipped import shipped_ids

    name = str(path).removeprefix("gtn_envs:")
    run = path / "teacher.safetensors"
    if run.is_file():
        return run
    if name in shipped_ids():  # takes precedence over a folder of that name, e.g. of a study
        return Path(name)
    return run if path.is_dir() else path
