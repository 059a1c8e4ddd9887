"""Long trainings of many architectures with several seeds, kept in one file per architecture and resumable."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from gtn_core.config import to_dict
from gtn_core.counts import require_counts
from gtn_core.errors import DivergedError
from gtn_core.folder import make_folder
from gtn_core.memory.allocation import reuse_pages
from gtn_core.workers import run_jobs
from gtn_sl.classifier import Classifier, save_learner
from gtn_sl.data import AUGMENTATIONS, TaskData, find_task, load_task
from gtn_sl.nas.candidate import Candidate, choose
from gtn_sl.nas.final_training import FinalTraining, train_finally
from gtn_sl.nas.listener import Listener, counting, silent
from gtn_sl.nas.results import Fields, ResultFolder, Runs, folder_for
from gtn_sl.nas.spaces import Space, find_space
from gtn_sl.nas.training_curves import TrainingCurves

TRAININGS = "trainings"
"""Folder of the trainings' results within the work folder."""

CURVES = "curves"
"""Folder, beside the results, of each training's TensorBoard events and ``metrics.jsonl``."""

NETWORKS = "networks"
"""Folder, beside the results, of the trained networks if they are kept: ``ENCODING-SEED.safetensors``."""


@dataclass(frozen=True)
class Course:
    """What a set of trainings has in common.

    Attributes:
        space: Search space of the architectures.
        task: Name of the real task.
        settings: How each network is trained.
        data_dir: Folder of the image files; see ``gtn_sl.data.load_task``.
        keeps_networks: Whether trained networks are kept, for ``gtn_sl.load_learner``.
        made_with: Facts, besides the settings, by which results are kept apart: those of other facts are not reused.
    """

    space: Space
    task: str
    settings: FinalTraining
    data_dir: str | Path | None = None
    keeps_networks: bool = False
    made_with: Mapping[str, str] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """Returns what the results depend on, besides architecture and seed, as JSON values."""
        task, training = find_task(self.task).identity(), to_dict(self.settings)
        return {"space": self.space.name, **task, "training": training, **self.made_with}


@dataclass(frozen=True)
class TrainingJob:
    """One training.

    Attributes:
        course: What it has in common with the others.
        candidate: The architecture.
        seed: Seed of all randomness.
        curves: Folder of its curves.
        network: File for the trained network; ``None`` if it is not kept.
    """

    course: Course
    candidate: Candidate
    seed: int
    curves: Path
    network: Path | None

    @property
    def title(self) -> str:
        """Description for messages."""
        return f"the training of {self.candidate.encoding} on {self.course.task}, seed {self.seed}"


def train_architectures(
    architectures: str | Iterable[str] = (),
    *,
    space: str = "nb201-small",
    task: str = "mnist",
    count: int | None = None,
    settings: FinalTraining | None = None,
    seeds: int = 3,
    seed: int = 0,
    workers: int = 1,
    data_dir: str | Path | None = None,
    out: str | Path = Path("runs") / "nas" / "train",
    listener: Listener = silent,
) -> dict[str, Any]:
    """Trains architectures, e.g. a search's winners, on real data for some epochs, as ``gtn-cli nas train`` does.

    Args:
        architectures: Encodings of architectures.
        space: Specification of their search space.
        task: The real task, see ``gtn_sl.load_task``.
        count: Number of further architectures, drawn at random; ``None`` for none.
        settings: How each network is trained; ``None`` for the defaults.
        seeds: Trainings per architecture, with seeds from 0.
        seed: Seed of the draw.
        workers: Number of processes, with one thread each. With several, a script needs
            ``if __name__ == "__main__":``, as always with ``multiprocessing``.
        data_dir: Folder of the image files; see ``gtn_sl.load_task``.
        out: Work folder. Trainings that it already holds are read instead of made again.
        listener: Called with "trainings", the number of those that are done and of all: before the first and after each.

    Returns:
        ``results``, the runs of each architecture by encoding and seed (see ``run_training``); ``networks``, the folder
        of the trained networks, ``ENCODING-SEED.safetensors`` for ``gtn_sl.load_learner``; and ``space``, ``task`` and
        ``training``, which they depend on.

    Raises:
        UsageError: A name or an encoding is unknown, no architectures were asked for, or a number is not positive.
        GTNError: A file cannot be read or written, or a worker died; finished trainings are kept.
    """
    require_counts(seeds=seeds, workers=workers)
    course = Course(find_space(space), find_task(task).name, settings or FinalTraining(), data_dir, keeps_networks=True)
    candidates = choose(course.space, architectures, count, seed)
    after_one = counting(listener, "trainings", len(candidates) * seeds)
    found = train_all(course, candidates, range(seeds), Path(out), workers=workers, after_one=after_one)
    networks = training_folder(course, Path(out)).path / NETWORKS
    return {**course.identity(), "results": found, "networks": str(networks)}


def train_all(
    course: Course,
    candidates: Sequence[Candidate],
    seeds: Sequence[int],
    folder: Path,
    *,
    workers: int = 1,
    after_one: Callable[[TrainingJob | None], object] = lambda job: None,
) -> dict[str, Runs]:
    """Trains architectures, reusing the trainings that the work folder already holds.

    Args:
        course: What the trainings have in common.
        candidates: The architectures.
        seeds: Each architecture is trained once with each seed, all of them with the first seed first.
        folder: Work folder; the trainings get their own folder in it.
        workers: Number of processes, with one thread each.
        after_one: Called after each training, and once with ``None`` for each one done earlier.

    Returns:
        The runs of each architecture, by encoding and seed; for the content of a run see ``run_training``.

    Raises:
        UsageError: The task or the augmentation is unknown.
        GTNError: A file cannot be read or written, or a worker died. Finished trainings are kept.
    """
    find_task(course.task), AUGMENTATIONS[course.settings.augmentation]  # a wrong name fails before any work
    results = training_folder(course, folder)
    results.identify(course.identity())
    found = {candidate.encoding: results.read(candidate.encoding) for candidate in candidates}
    jobs = [_job(course, candidate, seed, results.path) for seed in seeds for candidate in candidates]
    missing = [job for job in jobs if not _is_done(job, found[job.candidate.encoding].get(job.seed))]
    for _ in range(len(jobs) - len(missing)):
        after_one(None)

    def keep(job: TrainingJob, run: dict[str, Any]) -> None:
        runs = found[job.candidate.encoding]
        runs[job.seed] = run
        results.write(job.candidate.encoding, runs)
        after_one(job)

    if missing:
        _loaded(course)  # downloads the data once for all workers
        run_jobs(run_training, missing, workers, keep, lambda job: job.title)
    return {encoding: {seed: runs[seed] for seed in seeds} for encoding, runs in found.items()}


def training_folder(course: Course, folder: Path) -> ResultFolder:
    """Returns the folder of a course's trainings within a work folder."""
    fields = Fields(costs=("cpu_seconds", "wall_seconds"), results=("validation", "test"))
    return folder_for(
        folder / TRAININGS, f"{course.space.name}-{find_task(course.task).slug}", course.identity(), fields
    )


def run_training(job: TrainingJob) -> dict[str, Any]:
    """Trains one network.

    Returns:
        ``validation`` and ``test`` accuracy (``None`` if it diverged), ``failure`` (the reason, or ``None``),
        ``cpu_seconds`` and ``wall_seconds``; unless it diverged, also ``train_loss``, ``steps`` and ``images``.

    Raises:
        GTNError: The data cannot be read, or a file cannot be written.
    """
    reuse_pages()
    data = _loaded(job.course)
    wall, cpu = time.perf_counter(), time.process_time()
    result: dict[str, Any] = {"validation": None, "test": None, "failure": None}
    with contextlib.closing(TrainingCurves(make_folder(job.curves), job.course.identity())) as curves:
        try:
            trained = train_finally(job.candidate, data, job.course.settings, job.seed, curves.add)
            result |= {key: getattr(trained, key) for key in ("validation", "test", "train_loss", "steps", "images")}
        except DivergedError as error:
            result["failure"] = str(error)
        else:
            curves.end(trained)
            if job.network is not None:
                _keep(job.network, job, trained.module, result)
    return {**result, "cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}


def _job(course: Course, candidate: Candidate, seed: int, results: Path) -> TrainingJob:
    name = f"{candidate.encoding}-{seed}"
    network = results / NETWORKS / f"{name}.safetensors" if course.keeps_networks else None
    return TrainingJob(course, candidate, seed, results / CURVES / name, network)


def _is_done(job: TrainingJob, run: Mapping[str, Any] | None) -> bool:
    """Returns whether a training's result is known and, unless it diverged, its network is kept if requested."""
    return run is not None and (job.network is None or job.network.is_file() or run["failure"] is not None)


def _keep(path: Path, job: TrainingJob, module: nn.Module, result: dict[str, Any]) -> None:
    make_folder(path.parent)
    document = {**find_task(job.course.task).facts(), "learner": job.candidate.learner, "seed": job.seed}
    facts = {key: result[key] for key in ("steps", "images")}
    accuracies = {f"{split}_accuracy": result[split] for split in ("validation", "test")}
    save_learner(path, Classifier(module, document), **job.course.identity(), **facts, **accuracies)


def _loaded(course: Course) -> TaskData:
    return _kept(course.task, course.data_dir, find_task(course.task).digest)


@functools.lru_cache(maxsize=1)
def _kept(task: str, data_dir: str | Path | None, digest: str | None) -> TaskData:
    return load_task(task, data_dir)
