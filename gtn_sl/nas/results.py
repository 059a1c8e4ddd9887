"""One JSON file per architecture: what was found out about it, seed by seed, so that work goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gtn_core.checkpoint import replacing
from gtn_core.errors import GTNError
from gtn_core.file_lock import held_file
from gtn_core.folder import make_folder

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the files' layout."""

IDENTITY = "made-by.json"
"""The file that says what made all the others in a folder."""

Runs = dict[int, dict[str, Any]]
"""What was found, by seed."""


class Fields(NamedTuple):
    """The numbers that a run has besides ``failure``, which is ``None`` or says why there is no result."""

    costs: tuple[str, ...] = ()
    """In every run."""
    results: tuple[str, ...] = ()
    """In a run that did not fail."""

    def check(self, run: Mapping[str, Any]) -> None:
        """Raises ValueError where a run is none."""
        failure = run["failure"]
        if not (failure is None or isinstance(failure, str)):
            raise ValueError(f"its failure is {failure!r}")
        for name in (*self.costs, *(self.results if failure is None else ())):
            value = run.get(name)
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"its {name} is {value!r}")


class ResultFolder:
    """Results of one ranker, or of one way to train: a file an architecture, ``ENCODING.json``.

    Args:
        path: The folder.
        fields: What each run must have.

    Raises:
        UsageError: It cannot be made.
    """

    def __init__(self, path: Path, fields: Fields | None = None) -> None:
        self.path, self.fields = path, fields or Fields()
        make_folder(path)

    def read(self, encoding: str) -> Runs:
        """Returns what is known of an architecture; nothing where its file is damaged, which is said."""
        path = self._file(encoding)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["format"] != FORMAT or document["architecture"] != encoding:
                raise ValueError(f"it is of {document['architecture']!r}, format {document['format']}")
            runs = {int(seed): dict(run) for seed, run in document["runs"].items()}
            for run in runs.values():
                self.fields.check(run)
            return runs
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("%s is damaged and left out, so that it is made again: %s", path, " ".join(str(error).split()))
            return {}

    def write(self, encoding: str, runs: Runs) -> None:
        """Adds what was found out about an architecture to its file, or puts it in the place of what stands there.

        Several processes may write into one folder.

        Raises:
            GTNError: The file cannot be written.
        """
        with held_file(self.path / ".lock"):
            known = {**self.read(encoding), **runs}
            own = {str(seed): known[seed] for seed in sorted(known)}
            _write_json(self._file(encoding), {"format": FORMAT, "architecture": encoding, "runs": own})

    def encodings(self) -> list[str]:
        """Returns which architectures have a file, damaged or not."""
        return sorted(path.stem for path in self.path.glob("*.json") if path.name != IDENTITY)

    def identity(self) -> dict[str, Any]:
        """Returns what made the results; empty where nothing says so."""
        try:
            found = json.loads((self.path / IDENTITY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def identify(self, identity: Mapping[str, Any]) -> None:
        """Writes what makes the results."""
        _write_json(self.path / IDENTITY, identity)

    def _file(self, encoding: str) -> Path:
        return self.path / f"{encoding}.json"


def folder_for(parent: Path, name: str, identity: Mapping[str, Any], fields: Fields | None = None) -> ResultFolder:
    """Returns the folder of results that ``identity`` describes: another one as soon as anything in it differs.

    Args:
        parent: Where all such folders lie.
        name: Begins the folder's name, made safe for one.
        identity: JSON values.
        fields: See ``ResultFolder``.
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    return ResultFolder(parent / f"{safe_name(name)[:80]}-{digest}", fields)


def safe_name(specification: str) -> str:
    """Returns a specification as the name of a file or folder."""
    return re.sub(r"[^\w.=,-]+", "-", specification).strip("-.")


def result_folders(parent: Path, fields: Fields | None = None) -> Iterator[ResultFolder]:
    """Yields the folders of results in a folder, by name; ``fields`` as in ``ResultFolder``."""
    for path in sorted(parent.glob(f"*/{IDENTITY}")):
        yield ResultFolder(path.parent, fields)


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    try:
        with replacing(path) as file:
            file.write(json.dumps(document, indent=1).encode())
    except TypeError as error:
        raise GTNError(f"cannot write {path}: {error}") from error
