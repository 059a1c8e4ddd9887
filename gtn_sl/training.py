"""One supervised meta-training from config to teacher: everything between the command line and the outer loop."""

from __future__ import annotations

import json
import logging
import os

import torch

from gtn_core.config import resolve, to_dict
from gtn_core.cost import Cost, CostTracker, cost_tracker
from gtn_core.cpu_time import cpu_seconds
from gtn_core.distributed import SingleProcess, World, everywhere, first, first_on_each_machine
from gtn_core.distributed.files import held_by_first
from gtn_core.errors import DataError, DivergedError
from gtn_core.estimators import ESTIMATORS, EstimatorConfig
from gtn_core.memory.allocation import reuse_pages
from gtn_core.outer_loop import Listener, OuterLoop
from gtn_core.progress import Progress
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_core.threads import threads_put_back
from gtn_core.training_state import saved_progress
from gtn_sl.compute import as_this_device_can, with_compute, with_plan, with_threads
from gtn_sl.config import MetaTrainConfig
from gtn_sl.data import AUGMENTATIONS, ImageTask, TaskData, load_task
from gtn_sl.job import SupervisedJob
from gtn_sl.learners import architecture
from gtn_sl.learners.pool import pool_families, widest
from gtn_sl.provenance import Provenance, hardware, tell
from gtn_sl.starting_point import settings_not_kept, take_over
from gtn_sl.teacher import SupervisedTeacher, seeded_teacher
from gtn_sl.warm_start import warm_start

log = logging.getLogger(__name__)

MAY_CHANGE = ("outer.iterations", "outer.minutes", "data_dir", "compute.*")
"""Settings that may change when a run is resumed."""


@threads_put_back()
def meta_train(
    config: MetaTrainConfig,
    run: RunFolder,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    command: str = "",
    world: World | None = None,
) -> Progress:
    """Meta-trains a teacher, or resumes a run.

    From then on, this process keeps freed memory for reuse.

    Args:
        config: All settings; for a resumed run those in its folder, except that ``MAY_CHANGE`` may differ.
        run: The run folder, written by the first process.
        resume: Whether the folder already holds a run.
        listener: Called after every outer step.
        command: What the user typed, for the file's header; a resumed run keeps the command that began it.
        world: The processes that train together; a resumed run may have different ones.

    Returns:
        The progress at the end. The best teacher is in ``run.teacher``.

    Raises:
        GTNError: A problem that the user can fix: data, device, settings, disk, divergence, a lost process.
    """
    clock = cpu_seconds()
    reuse_pages()
    world = world or SingleProcess()
    if resume:
        first(world, lambda: run.refuse_other_settings(config, MAY_CHANGE))
    threads_are_open = config.compute.threads is None and world.size == 1 and "OMP_NUM_THREADS" not in os.environ
    config = everywhere(world, lambda: with_compute(config, world))
    data = first_on_each_machine(world, lambda: load_task(config.task, config.data_dir))
    streams = Streams(config.seed)
    teacher = everywhere(world, lambda: seeded_teacher(config, data.task, streams.seed("teacher")))
    teacher = teacher.to(config.compute.device)
    everywhere(world, lambda: _refuse_unfit(config, data.task))  # before the folder is created
    first(world, lambda: _warn_of_unseen_classes(config, data.task))
    if not resume:
        first(world, lambda: _tell_settings_not_kept(config))
    with held_by_first(world, run, new=not resume):
        first(world, lambda: _refuse_other_images(run, data.task))

        def settled() -> MetaTrainConfig:
            if not resume:
                return with_plan(config, data, teacher, world.local_size)
            before = resolve(MetaTrainConfig, run.read_config()).compute.device
            return as_this_device_can(config, teacher, before, world.local_size)

        config = resolve(MetaTrainConfig, first(world, lambda: to_dict(settled())))
        if threads_are_open and not resume:
            config = with_threads(config, teacher)
        first(world, lambda: run.write_config(config))  # also for a resumed run, whose budget may have changed
        command, continued = first(world, lambda: (run.remember_command(command), run.state.is_file()))
        if not continued:
            first(world, lambda: _begin(config, data, teacher, run, streams))
            world.broadcast_(teacher.state_dict().values())
        tracker = _tracker(config, run, continued, clock, world)
        return _outer_loop(config, data, teacher, run, continued, listener, tracker, command, world)


def _begin(
    config: MetaTrainConfig, data: TaskData, teacher: SupervisedTeacher, run: RunFolder, streams: Streams
) -> None:
    """Initialises a new run's teacher: from another teacher, or by a warm start."""
    if config.teacher.start is not None:
        run.note("start", json.dumps(take_over(teacher, config.teacher.start)))
    elif config.teacher.warm_start:
        warm_start(teacher, data, config.teacher.warm_start, streams)


def _tracker(config: MetaTrainConfig, run: RunFolder, continued: bool, clock: float, world: World) -> CostTracker:
    """Returns the tracker of metrics; its cost continues from the last row kept, plus what was spent since ``clock``."""
    after = first(world, lambda: saved_progress(run).iteration if continued else None)
    spent = Cost(cpu_seconds=sum(world.gather(cpu_seconds() - clock)))

    def before() -> Cost:
        rows = list(run.metric_rows())
        return (Cost.of(rows[-1]) if rows else Cost()) + spent

    return cost_tracker(world, run, before, after=after, settings=to_dict(config))


def _refuse_other_images(run: RunFolder, task: ImageTask) -> None:
    """Raises a DataError if a user's own images are not those that the run began with."""
    if task.digest and run.remember("images", task.digest) != task.digest:
        raise DataError(
            f"the images of {task.name} have changed since {run.path} began; start a new run to train on them"
        )


def _refuse_unfit(config: MetaTrainConfig, task: ImageTask) -> None:
    """Raises a UsageError if a name is unknown, or a learner does not fit the task."""
    AUGMENTATIONS[config.meta_loss.augmentation]
    for name in config.validation.architectures or (config.learner.architecture,):
        architecture(name).module(task.image_shape, task.classes)
    for _, family in pool_families(config.learner):
        family.module(task.image_shape, task.classes, widest(family, config.learner))


def _tell_settings_not_kept(config: MetaTrainConfig) -> None:
    if others := settings_not_kept(config):
        log.info("not kept from the teacher it starts from (whose values are in brackets): %s", ", ".join(others))


def _warn_of_unseen_classes(config: MetaTrainConfig, task: ImageTask) -> None:
    samples = config.teacher.samples or config.inner.steps * config.inner.batch_size
    if config.teacher.labels == "one-hot" and samples < task.classes:
        what = "%d samples cannot cover %d classes: increase inner.steps or inner.batch_size"
        log.warning(what, samples, task.classes)


def _outer_loop(
    config: MetaTrainConfig,
    data: TaskData,
    teacher: SupervisedTeacher,
    run: RunFolder,
    continued: bool,
    listener: Listener | None,
    tracker: CostTracker,
    command: str,
    world: World,
) -> Progress:
    plan = config.compute.plan
    assert plan is not None
    machine = hardware(config.compute.device, torch.get_num_threads())
    start = json.loads(run.remember("start", "") or "null")

    def provenance() -> Provenance:
        done, spent = loop.progress, tracker.total.cpu_seconds
        return Provenance(command, config.seed, done.iteration, done.seconds / 60, spent, machine, start)

    job = SupervisedJob(config, data, teacher, plan, run, provenance, world)
    estimator = ESTIMATORS["backprop"](EstimatorConfig(plan=plan))
    loop = OuterLoop(teacher, job, estimator, config.outer, run, tracker, world=world, listener=listener)
    try:
        if continued:
            loop.resume()
        progress = loop.run()
        # the best teacher was saved earlier, but it took the whole run to find it
        first(world, lambda: tell(run.teacher, provenance()))
        return progress
    except DivergedError as error:
        best = " and the best teacher are" if run.teacher.is_file() else " is"
        kept = f"the last good state{best} kept in {run.path}; " if run.state.is_file() else ""
        hint = "a new run with a lower --set inner.lr=... or outer.lr=... may get further"
        error.args = (f"{error}; {kept}{hint}",)
        raise
    finally:
        tracker.close()
