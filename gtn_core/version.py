"""The installed version of this package, which files and kept results tell."""

from __future__ import annotations

import importlib.metadata


def installed_version() -> str:
    """Returns the version of the distribution that holds all five packages."""
    return importlib.metadata.version("generative-teaching-networks")
