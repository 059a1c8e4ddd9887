"""Values to log for several episodes together, or for several parts of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def merged_values(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the values to log for several episodes together: sums of costs (tags under ``cost/``), else means.

    A tag that some rows lack is averaged over those that have it.
    """
    merged = {}
    for tag in dict.fromkeys(tag for row in rows for tag in row):
        found = [row[tag] for row in rows if tag in row]
        merged[tag] = sum(found) if tag.startswith("cost/") else sum(found) / len(found)
    return merged
