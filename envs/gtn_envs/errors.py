"""Errors of this package for which Gymnasium has no class; where it has one, that is raised."""

from __future__ import annotations

from gymnasium import error


class WeightsError(error.Error):
    """A weights file is missing, damaged, not one of ours, inconsistent, or made for other spaces."""
