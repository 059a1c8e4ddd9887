"""Growth of the number of inner steps over a meta-training: short loops first, with tame, cheap meta-gradients."""

from __future__ import annotations

from gtn_sl.config import InnerConfig


def inner_steps(settings: InnerConfig, progress: float) -> int:
    """Returns the inner steps of an outer step: they grow linearly from ``first_steps`` to T, then stay.

    Args:
        settings: Settings of the inner loop; ``steps`` (T), ``first_steps`` and ``grow`` are used.
        progress: Share of the run that is done, in ``[0, 1)``.
    """
    if progress >= settings.grow:
        return settings.steps
    return settings.first_steps + int((settings.steps - settings.first_steps) * progress / settings.grow)
