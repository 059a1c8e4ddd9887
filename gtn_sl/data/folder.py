"""Where the data files are: a given folder, else ``GTN_DATA_DIR``, else the cache of the operating system."""

from __future__ import annotations

import os
from pathlib import Path

import pooch  # type: ignore[import-untyped]

ENV_VAR = "GTN_DATA_DIR"


def resolve_data_dir(data_dir: str | Path | None = None) -> Path:
    """Returns the folder that holds (or will receive) ``mnist/``, ``fashion-mnist/`` and ``cifar-10-batches-bin/``.

    Args:
        data_dir: A folder, which takes precedence; ``~`` is expanded. It need not exist yet.
    """
    named = data_dir if data_dir is not None else os.environ.get(ENV_VAR) or None
    return Path(named).expanduser() if named is not None else Path(pooch.os_cache("gtn"))
