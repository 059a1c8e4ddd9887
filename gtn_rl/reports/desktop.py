"""Pictures of tasks that pygame draws, on a machine without a screen."""

from __future__ import annotations

import os


def need_no_desktop() -> None:
    """Keeps SDL, unless told where to draw, from looking for a desktop and complaining when there is none."""
    for driver in ("SDL_VIDEODRIVER", "SDL_AUDIODRIVER"):
        os.environ.setdefault(driver, "dummy")
