"""Result folders: one JSON file per architecture with the results by seed, so that interrupted work can be resumed."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gtn_core.errors import GTNError
from gtn_core.file_lock import held_file
from gtn_core.folder import make_folder
from gtn_core.whole_file import replacing

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the file format."""

IDENTITY = "made-by.json"
"""Name of the file that describes what made the results in a folder."""

Runs = dict[int, dict[str, Any]]
"""Results of one architecture, by seed."""


class Fields(NamedTuple):
    """The numbers in a run besides ``failure``, which is ``None`` or the reason why there is no result."""

    costs: tuple[str, ...] = ()
    """Present in every run."""
    results: tuple[str, ...] = ()
    """Present in every run that did not fail."""

    def check(self, run: Mapping[str, Any]) -> None:
        """Checks a run.

        Raises:
            KeyError: The run has no ``failure``.
            ValueError: A number is missing or not finite, or ``failure`` is neither ``None`` nor a string.
        """
        failure = run["failure"]
        if not (failure is None or isinstance(failure, str)):
            raise ValueError(f"failure is {failure!r}")
        for name in (*self.costs, *(self.results if failure is None else ())):
            value = run.get(name)
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name} is {value!r}")


class ResultFolder:
    """Results of one ranker or one training setup, with one file per architecture, ``ENCODING.json``.

    Args:
        path: The folder; created if it does not exist.
        fields: Numbers that each run must have.

    Raises:
        UsageError: The folder cannot be created.
    """

    def __init__(self, path: Path, fields: Fields | None = None) -> None:
        self.path, self.fields = path, fields or Fields()
        make_folder(path)

    def read(self, encoding: str) -> Runs:
        """Returns an architecture's results; none, with a warning, if its file is damaged."""
        path = self._file(encoding)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["format"] != FORMAT or document["architecture"] != encoding:
                raise ValueError(f"it holds {document['architecture']!r} in format {document['format']}")
            runs = {int(seed): dict(run) for seed, run in document["runs"].items()}
            for run in runs.values():
                self.fields.check(run)
            return runs
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("%s is damaged; ignoring it and regenerating: %s", path, " ".join(str(error).split()))
            return {}

    def write(self, encoding: str, runs: Runs) -> None:
        """Adds results of an architecture to its file, replacing those with the same seeds.

        Several processes may write to the same folder.

        Raises:
            GTNError: The file cannot be written.
        """
        with held_file(self.path / ".lock"):
            known = {**self.read(encoding), **runs}
            own = {str(seed): known[seed] for seed in sorted(known)}
            _write_json(self._file(encoding), {"format": FORMAT, "architecture": encoding, "runs": own})

    def encodings(self) -> list[str]:
        """Returns the sorted encodings of the architectures that have a file, damaged or not."""
        return sorted(path.stem for path in self.path.glob("*.json") if path.name != IDENTITY)

    def identity(self) -> dict[str, Any]:
        """Returns the description of what made the results; empty if it is missing or damaged."""
        try:
            found = json.loads((self.path / IDENTITY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def identify(self, identity: Mapping[str, Any]) -> None:
        """Writes the description of what makes the results.

        Raises:
            GTNError: The file cannot be written.
        """
        _write_json(self.path / IDENTITY, identity)

    def _file(self, encoding: str) -> Path:
        return self.path / f"{encoding}.json"


def folder_for(parent: Path, name: str, identity: Mapping[str, Any], fields: Fields | None = None) -> ResultFolder:
    """Returns the result folder for an identity, whose digest is part of the folder's name.

    Args:
        parent: Folder of all such folders.
        name: Start of the folder's name; unsafe characters are replaced, and it is truncated.
        identity: JSON values that the results depend on.
        fields: See ``ResultFolder``.
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    return ResultFolder(parent / f"{safe_name(name)[:80]}-{digest}", fields)


def safe_name(specification: str) -> str:
    """Returns a specification as a safe file or folder name."""
    return re.sub(r"[^\w.=,-]+", "-", specification).strip("-.")


def result_folders(parent: Path, fields: Fields | None = None) -> Iterator[ResultFolder]:
    """Yields the result folders in a folder, sorted by name; ``fields`` as in ``ResultFolder``."""
    for path in sorted(parent.glob(f"*/{IDENTITY}")):
        yield ResultFolder(path.parent, fields)


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    try:
        with replacing(path) as file:
            file.write(json.dumps(document, indent=1).encode())
    except TypeError as error:
        raise GTNError(f"cannot write {path}: {error}") from error
