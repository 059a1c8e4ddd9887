"""Imports a user's own piece, given as ``package.module:name``, with one clear error for whatever goes wrong."""

from __future__ import annotations

import importlib
from typing import Any

from gtn_core.errors import UsageError, unknown_name


def import_named(what: str, path: str) -> Any:
    """Returns the attribute of a module.

    Args:
        what: What it should be, for error messages, e.g. ``"ranker"``.
        path: ``package.module:name``, or ``package.module:Class.name``.

    Raises:
        UsageError: The module cannot be imported, or has no such attribute.
    """
    module, _, names = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # a user's module can raise anything
        where = (
            "; it must be installed, in the current folder or on PYTHONPATH" if isinstance(error, ImportError) else ""
        )
        raise UsageError(f"cannot import the {what} {path!r}: {type(error).__name__}: {error}{where}") from error
    for name in names.split("."):
        if not hasattr(found, name):
            public = [known for known in dir(found) if not known.startswith("_")]
            raise unknown_name(f"attribute of the module {module!r}:", name, public)
        found = getattr(found, name)
    return found
