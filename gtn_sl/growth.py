"""How the number of inner steps grows over a meta-training: short inner loops first, whose meta-gradient is tame and cheap."""

from __future__ import annotations

from gtn_sl.config import InnerConfig


def inner_steps(settings: InnerConfig, progress: float) -> int:
    """Returns the inner steps of an outer step: from ``first_steps`` they grow linearly to T, then stay.

    Args:
        settings: ``steps`` (T), ``first_steps`` and ``grow``.
        progress: Share of the run that is done, in ``[0, 1)``.
    """
    if progress >= settings.grow:
        return settings.steps
    return settings.first_steps + int((settings.steps - settings.first_steps) * progress / settings.grow)
