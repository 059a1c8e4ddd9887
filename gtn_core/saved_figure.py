"""Saves a matplotlib figure as a PNG file, atomically. Imports no matplotlib."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from gtn_core.whole_file import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure as a PNG file.

    Raises:
        GTNError: The file cannot be written; an existing one is unchanged.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    with replacing(path) as file:
        file.write(buffer.getvalue())
