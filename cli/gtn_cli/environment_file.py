"""Which argument of a command names an environment's file, where a supervised teacher may stand, too."""

from __future__ import annotations

from pathlib import Path

from gtn_core.errors import GTNError, unknown_name


def kind_of(path: Path) -> str | None:
    """Returns the kind of environment that an argument names (``gtn_envs.document.KINDS``); None for anything else.

    Args:
        path: A shipped id, or a file (or run) that holds one.

    Raises:
        UnknownNameError: It looks like the id of a shipped environment, and there is none of that name.
        GTNError: The file of that id is damaged.
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
    """Returns the environment's file, of a run the one in its folder; a shipped id stays as it is, without its module's name."""
    from gtn_envs.shipped import shipped_ids

    name = str(path).removeprefix("gtn_envs:")
    run = path / "teacher.safetensors"
    if run.is_file():
        return run
    if name in shipped_ids():  # a study's folder may be called so, too
        return Path(name)
    return run if path.is_dir() else path
