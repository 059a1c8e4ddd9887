"""What is logged of several episodes, or of several parts of one, together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def merged_values(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns what to log of several episodes: what they cost together (tags under ``cost/``), of all else the mean.

    A tag that some rows lack is averaged over those that have it.
    """
    merged = {}
    for tag in dict.fromkeys(tag for row in rows for tag in row):
        found = [row[tag] for row in rows if tag in row]
        merged[tag] = sum(found) if tag.startswith("cost/") else sum(found) / len(found)
    return merged
