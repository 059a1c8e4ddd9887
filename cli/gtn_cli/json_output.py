"""The one JSON document that a command prints with ``--json``, whatever else is printed meanwhile. Imports no torch."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import click

_documents: list[TextIO | None] = []
"""Where documents go while everything else is sent to standard error; the last one holds."""


@contextlib.contextmanager
def documents_alone() -> Iterator[None]:
    """Sends all that is printed within the block to standard error, but for what ``echo_json`` prints."""
    _documents.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _documents.pop()


def echo_json(value: Any) -> None:
    """Prints a value as one JSON document on standard output."""
    click.echo(json.dumps(value, indent=1), file=_documents[-1] if _documents else None)
