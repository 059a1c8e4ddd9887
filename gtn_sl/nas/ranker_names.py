"""Names of rankers in tables and plots: short and distinct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gtn_sl.shipped import known_by

FIRST = ("file", "steps", "measure")
"""Settings that a short name starts with, in this order."""

TOLD_APART_BY_NONE = ("prepared", "paid_before")
"""Entries of a ranker's identity that are costs and do not distinguish rankers."""


def short_name(ranker: str) -> str:
    """Shortens a ranker's specification for tables and plots: a file or run folder by name only, at most 60 characters.

    A note in brackets, as added by ``distinct_names``, is kept.
    """
    specification, bracket, note = ranker.partition(" [")
    name, _, settings = specification.partition("@")
    parts = sorted(filter(None, settings.split(",")), key=_place)
    kept = [known_by(Path(part[5:])).name if part.startswith("file=") else part for part in parts]
    short = f"{name} ({', '.join(kept)})" if kept else name
    return (short if len(short) <= 60 else f"{short[:57]}...)") + bracket + note


def _place(setting: str) -> int:
    """Returns the sort key of a setting: the most distinctive settings come first, since long names are truncated."""
    key = setting.partition("=")[0]
    return FIRST.index(key) if key in FIRST else len(FIRST)


def distinct_names(identities: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the rankers' specifications; where several are equal, brackets say how the rankers differ."""
    named = []
    for identity in identities:
        twins = [other for other in identities if other["ranker"] == identity["ranker"]]
        telling = [
            f"{key} {value}"
            for key, value in identity.items()
            if key not in TOLD_APART_BY_NONE and any(other.get(key) != value for other in twins)
        ]
        named.append(f"{identity['ranker']} [{', '.join(telling)}]" if telling else str(identity["ranker"]))
    return named
