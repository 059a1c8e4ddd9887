"""Rendering of tasks that pygame draws, on a machine without a display."""

from __future__ import annotations

import os


def need_no_desktop() -> None:
    """Makes SDL render without a display, unless its drivers are already set."""
    for driver in ("SDL_VIDEODRIVER", "SDL_AUDIODRIVER"):
        os.environ.setdefault(driver, "dummy")
