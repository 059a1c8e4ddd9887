"""The environments and data streams that ship with the package, by id: the files in ``weights/``."""

from __future__ import annotations

from pathlib import Path

from gtn_envs.document import KINDS

SHIPPED = Path(__file__).parent / "weights"
"""Folder of the shipped files, each ``<id>.safetensors``."""


def shipped_ids(kind: str | None = None) -> list[str]:
    """Returns the ids of the shipped files, sorted.

    Args:
        kind: Only those that hold this: ``"synthetic-environment"`` or ``"stream"``, as in a file's header; None for all.

    Raises:
        ValueError: There is no such kind.
    """
    ids = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
    if kind is None:
        return ids
    from gtn_envs.document_file import read_document  # which looks for shipped files itself

    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {KINDS}")
    return [id for id in ids if read_document(SHIPPED / f"{id}.safetensors")["kind"] == kind]
