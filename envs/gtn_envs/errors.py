"""Errors of this package that Gymnasium has no name for; everything else raises Gymnasium's own."""

from __future__ import annotations

from gymnasium import error


class WeightsError(error.Error):
    """A weights file is absent, damaged, foreign, inconsistent, or was made for other spaces."""
