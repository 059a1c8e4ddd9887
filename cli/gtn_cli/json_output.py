"""Output of ``--json``: one JSON document, whatever else the command prints. Does not import torch."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import click

_documents: list[TextIO | None] = []
"""Streams that documents are written to while all other output goes to standard error; the last one is in effect."""


@contextlib.contextmanager
def documents_alone() -> Iterator[None]:
    """Redirects everything printed within the block to standard error, except the documents of ``echo_json``."""
    _documents.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _documents.pop()


def echo_json(value: Any) -> None:
    """Prints a value as one JSON document on standard output."""
    click.echo(json.dumps(value, indent=1), file=_documents[-1] if _documents else None)
