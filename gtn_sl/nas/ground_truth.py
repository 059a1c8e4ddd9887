"""Ground truths: accuracies of a space's architectures after long training on real data, for several seeds.

Those in ``ground_truths/`` ship with the package, so that a ranker can be evaluated without any long training.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtn_core.counts import require_counts
from gtn_core.errors import DataError, DivergedError, UsageError, unknown_name
from gtn_core.seeding import Streams
from gtn_core.version import installed_version
from gtn_core.whole_file import replacing
from gtn_sl.data import find_task
from gtn_sl.nas.candidate import Candidate, sample_seeing
from gtn_sl.nas.final_training import FinalTraining
from gtn_sl.nas.listener import Listener, counting, silent
from gtn_sl.nas.rankers.size import flop_count, parameter_count
from gtn_sl.nas.results import Runs, safe_name
from gtn_sl.nas.spaces import find_space
from gtn_sl.nas.trainings import Course, train_all

log = logging.getLogger(__name__)

FORMAT = 1
KIND = "ground-truth"

SHIPPED = Path(__file__).with_name("ground_truths")


@dataclass(frozen=True)
class Entry:
    """One architecture.

    Attributes:
        validation: Accuracy on validation data, by seed.
        test: Accuracy on test data, by seed.
        parameters: Number of parameters.
        flops: Floating-point operations of one image's forward pass.
        cpu_seconds: Mean CPU-seconds of one training.
    """

    validation: tuple[float, ...]
    test: tuple[float, ...]
    parameters: int
    flops: int
    cpu_seconds: float


@dataclass(frozen=True)
class GroundTruth:
    """Architectures and the accuracies that they reach.

    Attributes:
        space: Specification of their space.
        task: Name of the real task.
        training: Settings of each training; see ``FinalTraining``.
        entries: Architectures by encoding.
        data: Digest of a user's own images; see ``ImageTask.digest``.
    """

    space: str
    task: str
    training: Mapping[str, Any]
    entries: Mapping[str, Entry]
    data: str | None = None

    def refuse_other_images(self) -> None:
        """Checks that a user's own images are those that the architectures were trained on.

        Raises:
            UsageError: There is no such task.
            DataError: The images have changed or are missing.
        """
        if find_task(self.task).digest != self.data:
            raise DataError(f"the images of {self.task} differ from those that this ground truth was made on")

    def candidates(self) -> list[Candidate]:
        """Returns the architectures, in the order of the entries."""
        space = find_space(self.space)
        return [Candidate(space, space.decode(encoding)) for encoding in self.entries]

    def by_seed(self) -> NDArray[np.float64]:
        """Returns test accuracies, shape ``(architectures, seeds)``."""
        return np.array([entry.test for entry in self.entries.values()])

    def accuracies(self) -> NDArray[np.float64]:
        """Returns mean test accuracies, shape ``(architectures,)``."""
        return self.by_seed().mean(axis=1)


def make_ground_truth(
    *,
    space: str = "nb201-small",
    task: str = "mnist",
    count: int = 64,
    settings: FinalTraining | None = None,
    seeds: int = 3,
    seed: int = 0,
    workers: int = 1,
    data_dir: str | Path | None = None,
    out: str | Path = Path("runs") / "nas" / "ground-truth",
    listener: Listener = silent,
    command: str = "",
) -> Path:
    """Draws architectures and trains each with several seeds, as ``gtn-cli nas ground-truth`` does.

    Architectures whose logits do not depend on the image are not drawn.

    Args:
        space: Specification of the search space.
        task: The real task, see ``gtn_sl.load_task``.
        count: Number of architectures; ``correlate_rankers`` needs at least 6.
        settings: How each network is trained; ``None`` for the defaults.
        seeds: Trainings per architecture.
        seed: Seed of the draw.
        workers: Number of processes, with one thread each. With several, a script needs
            ``if __name__ == "__main__":``, as always with ``multiprocessing``.
        data_dir: Folder of the image files; see ``gtn_sl.load_task``.
        out: Work folder. Trainings that it already holds are read instead of made again; a call with a larger ``count``
            or more ``seeds`` adds to its ground truth.
        listener: Called with space and task, the number of trainings that are done and of all: before the first and
            after each.
        command: What makes the ground truth, for its file.

    Returns:
        The file, ``OUT/SPACE-TASK.json``, for ``correlate_rankers`` and ``find_ground_truth``.

    Raises:
        UsageError: A name is unknown, a number is not positive, the space is too small, or the folder holds a ground
            truth that the new one would not contain.
        GTNError: A file cannot be read or written, a worker died, or every architecture diverged; finished trainings are
            kept.
    """
    require_counts(count=count, seeds=seeds, workers=workers)
    course = Course(find_space(space), find_task(task).name, settings or FinalTraining(), data_dir)
    candidates = sample_seeing(course.space, course.task, count, Streams(seed).numpy("ground-truth"))
    path = Path(out) / f"{safe_name(course.space.name)}-{find_task(course.task).slug}.json"
    refuse_another_ground_truth(path, course, candidates, seeds)
    after_one = counting(listener, f"{course.space.name} on {course.task}", count * seeds)
    found = train_all(course, candidates, range(seeds), Path(out), workers=workers, after_one=after_one)
    save_ground_truth(path, put_together(course, found), command)
    return path


def put_together(course: Course, found: Mapping[str, Runs]) -> GroundTruth:
    """Makes a ground truth from long trainings; architectures with a diverged training are left out, with a warning.

    Raises:
        DivergedError: No architecture is left.
    """
    task = find_task(course.task)
    entries = {}
    for encoding, runs in found.items():
        if any(run["failure"] is not None for run in runs.values()):
            log.warning("%s diverged with at least one seed and is left out", encoding)
            continue
        candidate = Candidate(course.space, course.space.decode(encoding))
        entries[encoding] = Entry(
            tuple(run["validation"] for run in runs.values()),
            tuple(run["test"] for run in runs.values()),
            parameter_count(candidate, task),
            flop_count(candidate, task),
            float(np.mean([run["cpu_seconds"] for run in runs.values()])),
        )
    if not entries:
        raise DivergedError("every architecture diverged with at least one seed: try a smaller lr")
    return GroundTruth(course.space.name, course.task, course.identity()["training"], entries, task.digest)


def save_ground_truth(path: Path, truth: GroundTruth, made_by: str) -> None:
    """Writes a ground truth as JSON, with one line per architecture.

    Args:
        path: JSON file; an existing one is replaced atomically.
        truth: The ground truth.
        made_by: The command that made it.
    """
    head = {
        "format": FORMAT,
        "kind": KIND,
        "space": truth.space,
        "task": truth.task,
        **({"data": truth.data} if truth.data else {}),
        "training": dict(truth.training),
        "made_by": made_by,
        "version": installed_version(),
    }
    lines = [f"{json.dumps(encoding)}: {json.dumps(vars(entry))}" for encoding, entry in truth.entries.items()]
    body = ",\n  ".join(lines)
    with replacing(path) as file:
        file.write(f'{json.dumps(head)[:-1]}, "architectures": {{\n  {body}\n}}}}\n'.encode())


def refuse_another_ground_truth(path: Path, course: Course, candidates: Sequence[Candidate], seeds: int) -> None:
    """Protects a ground truth from being replaced, except by one that adds architectures or seeds to it.

    Args:
        path: File of the ground truth, which need not exist.
        course: What the trainings of the new one have in common.
        candidates: Architectures of the new one.
        seeds: Its trainings per architecture.

    Raises:
        UsageError: The file holds a ground truth of other trainings or images, or one that the new one lacks a part of.
        DataError: The file is not a ground truth.
    """
    if not path.is_file():
        return
    before, asked = load_ground_truth(path), course.identity()
    if (dict(before.training), before.data) != (asked["training"], find_task(course.task).digest):
        raise UsageError(
            f"{path} already holds a ground truth of other trainings or images; choose another folder (--out)"
        )
    known = before.by_seed().shape[1]
    lost = before.entries.keys() - {candidate.encoding for candidate in candidates}
    if lost or seeds < known:
        raise UsageError(
            f"{path} already holds a ground truth of {len(before.entries)} architectures with {known} seeds each, which"
            " this one would not contain; choose another folder (--out)"
        )


def load_ground_truth(path: Path) -> GroundTruth:
    """Reads a ground truth.

    Raises:
        DataError: The file is missing, damaged, or not a ground truth.
        UsageError: Its space or one of its architectures is unknown.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["kind"] != KIND or document["format"] > FORMAT:
            raise ValueError(f"it holds a {document['kind']!r} of format {document['format']}")
        entries = {encoding: _entry(values) for encoding, values in document["architectures"].items()}
        if not entries:
            raise ValueError("it has no architectures")
        truth = GroundTruth(document["space"], document["task"], document["training"], entries, document.get("data"))
        truth.by_seed()  # raises ValueError if architectures differ in their number of seeds
    except OSError as error:
        raise DataError(f"cannot read the ground truth {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not a ground truth: {type(error).__name__}: {error}") from error
    truth.candidates()
    return truth


def find_ground_truth(name: str | Path, folder: Path = SHIPPED) -> GroundTruth:
    """Reads a shipped ground truth by name, e.g. ``nb201-small-mnist``, or a ``.json`` file by path.

    Raises:
        UsageError: No ground truth has that name, or its space or one of its architectures is unknown.
        DataError: The file is missing, damaged, or not a ground truth.
    """
    name = str(name)
    if name.endswith(".json"):
        return load_ground_truth(Path(name))
    if name not in shipped_ground_truths(folder):
        raise unknown_name("ground truth", name, shipped_ground_truths(folder))
    return load_ground_truth(folder / f"{name}.json")


def whole_truth(name: str) -> str:
    """Returns the name that finds a ground truth from any folder: of a file, its absolute path."""
    return os.path.abspath(name) if name.endswith(".json") else name


def shipped_ground_truths(folder: Path = SHIPPED) -> Sequence[str]:
    """Returns the names of the ground truths that ship with the package."""
    return sorted(path.stem for path in folder.glob("*.json"))


def _entry(values: Mapping[str, Any]) -> Entry:
    validation, test = (tuple(float(x) for x in values[key]) for key in ("validation", "test"))
    if not test or len(test) != len(validation):
        raise ValueError(f"an architecture has {len(validation)} validation and {len(test)} test accuracies")
    return Entry(validation, test, int(values["parameters"]), int(values["flops"]), float(values["cpu_seconds"]))
