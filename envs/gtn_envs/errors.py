"""Errors that Gymnasium has no class for; otherwise this package raises Gymnasium's own."""

from __future__ import annotations

from gymnasium import error


class WeightsError(error.Error):
    """A weights file is missing, damaged, not one of ours, inconsistent, or made for other spaces."""
