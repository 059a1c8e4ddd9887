"""The teachers that come with the package, by name: the files in ``weights/``. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from gtn_core.errors import UnknownNameError, unknown_name

SHIPPED = Path(__file__).parent / "weights"
"""The folder of the shipped teachers, one ``<name>.safetensors`` each."""


def shipped_teachers() -> tuple[str, ...]:
    """Returns the names of the shipped teachers."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.safetensors")))


def find_teacher(name: str | Path) -> Path:
    """Returns the file that a name stands for; if the name is a path, the file need not exist.

    Args:
        name: A ``.safetensors`` file, a run folder, or a shipped teacher's name. A run folder that holds a teacher
            takes precedence over a shipped teacher of the same name.

    Raises:
        UnknownNameError: It is none of these.
    """
    path = Path(name)
    in_folder = path / "teacher.safetensors"
    if in_folder.is_file():
        return in_folder
    if str(name) in shipped_teachers():
        return SHIPPED / f"{name}.safetensors"
    if path.is_dir():
        return in_folder
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    error = unknown_name("teacher", str(name), shipped_teachers())
    raise UnknownNameError(f"{error} (for your own, give a run folder or a .safetensors file)")


def known_by(file: Path) -> Path:
    """Returns the path that a teacher is known by: its run folder if the file has a run's usual name, else the file."""
    return file.parent if file.name == "teacher.safetensors" and file.parent.name else file


def is_shipped(file: Path) -> bool:
    """Returns whether a teacher's file came with the package, in whose folder nothing should be written."""
    return file.parent == SHIPPED
