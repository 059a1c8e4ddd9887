"""The environments and data streams that come with the package, by id: the files in ``weights/``."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent / "weights"
"""Their folder, one ``<id>.safetensors`` each."""


def shipped_ids() -> list[str]:
    """Returns their ids."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
