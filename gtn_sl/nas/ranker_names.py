"""What to call rankers in tables and pictures: short, and never two alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gtn_sl.shipped import known_by

FIRST = ("file", "steps", "measure")
"""Settings that a short name begins with, in this order."""

TOLD_APART_BY_NONE = ("prepared", "paid_before")
"""Entries of a ranker's identity that are costs, and name nothing."""


def short_name(ranker: str) -> str:
    """Returns a ranker's specification for a table or a picture: of its file or run the name alone, and at most 60 characters.

    What stands behind it in brackets, see ``distinct_names``, is kept.
    """
    specification, bracket, note = ranker.partition(" [")
    name, _, settings = specification.partition("@")
    parts = sorted(filter(None, settings.split(",")), key=_place)
    kept = [known_by(Path(part[5:])).name if part.startswith("file=") else part for part in parts]
    short = f"{name} ({', '.join(kept)})" if kept else name
    return (short if len(short) <= 60 else f"{short[:57]}...)") + bracket + note


def _place(setting: str) -> int:
    """Returns where a setting stands: first what most often tells rankers apart, as long names are cut."""
    key = setting.partition("=")[0]
    return FIRST.index(key) if key in FIRST else len(FIRST)


def distinct_names(identities: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns what to call rankers: their specification, and in brackets what else tells them from others that have the same."""
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
