"""Errors that a user can cause, each with a one-line message; programming errors stay ordinary Python exceptions."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

WHERE = "GTN_TRACEBACK=1 shows where"
"""Added to messages about code that is not ours, e.g. a user's task: how the command line shows its traceback."""


class GTNError(Exception):
    """A failure whose message is meant for the user: the command line prints it without a traceback.

    Attributes:
        exit_code: Exit code of the command line: 1 for a failure, 2 for wrong usage.
        rank: Of several processes that failed together, the one that caused it; ``None`` if only this one knows of it.
    """

    exit_code = 1
    rank: int | None = None


class UsageError(GTNError):
    """Something the user asked for does not exist or makes no sense: a name, a key, a value."""

    exit_code = 2


class UnknownNameError(UsageError, KeyError):
    """A name that no registry or config holds."""

    __str__ = Exception.__str__  # KeyError's would put the message in quotes


class DataError(GTNError):
    """A data file is missing, damaged or not what its name promises."""


class CheckpointError(GTNError):
    """A checkpoint is missing, truncated, not one of ours, or was made for something else."""


class DeviceError(UsageError):
    """A device was requested that does not exist or that this machine does not have."""


class DivergedError(GTNError):
    """Training produced a value that is not finite."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Returns the error for a name that no registry or config holds, suggesting the nearest known one.

    Args:
        kind: What the name should have been, e.g. ``"task"``.
        name: The unknown name.
        known: All accepted names.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "known: " + (", ".join(names) or "none")
    return UnknownNameError(f"unknown {kind} {name!r}; {hint}")
