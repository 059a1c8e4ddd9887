"""The environments and data streams that ship with the package, by id: the files in ``weights/``."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent / "weights"
"""Folder of the shipped files, each ``<id>.safetensors``."""


def shipped_ids() -> list[str]:
    """Returns the ids of the shipped files, sorted."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
