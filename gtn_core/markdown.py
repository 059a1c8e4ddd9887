"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def markdown_table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Returns the lines of a table.

    Args:
        rows: At least one row; all have the same keys, which head the columns.
    """
    body = ["| " + " | ".join(row.values()) + " |" for row in rows]
    return ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0]), *body]
