"""The start of a meta-training: a first harvest of the real task, and the teacher that is made from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from torch import Tensor

from gtn_core.cost import Cost
from gtn_core.cpu_time import cpu_seconds
from gtn_core.distributed import World
from gtn_core.distributed.files import first_tensors
from gtn_core.outer_loop import Listener
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_rl.config import RLConfig
from gtn_rl.harvest import Harvest, harvest, harvest_from_greedy
from gtn_rl.stages.fresh_teacher import fresh_teacher
from gtn_rl.stages.pipeline import Pipeline
from gtn_rl.stages.starting_point import load_start, normalisation, shaped_like, take_over
from gtn_rl.tasks import BatchedTask
from gtn_rl.tasks.rollout import Transitions


def start_pipeline(
    config: RLConfig, run: RunFolder, task: BatchedTask, listener: Listener | None, command: str, world: World
) -> Pipeline:
    """Returns a meta-training before its first stage; see ``Pipeline`` for the arguments.

    The teacher is made on the CPU, the same on every process, and moved to the run's device.

    Raises:
        UsageError: The environment to start from is missing, invalid or of another task, or the harvest has one state
            only.
        GTNError: The task returned a non-finite observation or reward.
    """
    settings, streams, clock = config.environment, Streams(config.seed), cpu_seconds()
    random = streams.numpy("harvest")
    gathered = _harvested(world, lambda: harvest(task, settings.harvest_episodes, random))
    start = None if settings.start is None else load_start(settings.start, task.spec)
    if start is not None:
        settings = shaped_like(settings, start)
        config = dataclasses.replace(config, environment=settings)
    scales = gathered.normalisation() if start is None else normalisation(start)
    teacher = fresh_teacher(settings, task, gathered, scales, random, streams.seed("teacher"))
    if start is not None:
        take_over(teacher, start, settings.reward_scale)
    teacher.to(config.device)
    harvests = [gathered]
    if start is not None:
        again = streams.numpy("harvest-start")
        harvests.append(_harvested(world, lambda: harvest_from_greedy(task, teacher, settings, again)))
    # Only the first process drew its centres after a harvest, from the same generator.
    world.broadcast_(teacher.state_dict().values())
    pending = Cost(sum(part.real_steps for part in harvests), cpu_seconds() - clock)
    harvests = [part.to(config.device) for part in harvests]
    return Pipeline(config, run, task, teacher, harvests, [], start, command, listener, pending, world)


def _harvested(world: World, work: Callable[[], Harvest]) -> Harvest:
    """Returns, on every process and on the CPU, a harvest that the first process gathers."""
    if world.size == 1:
        return work().to("cpu")

    def packed() -> tuple[dict[str, Tensor], dict[str, int]]:
        gathered = work().to("cpu")
        return {**vars(gathered.transitions), "returns": gathered.returns}, {"real_steps": gathered.real_steps}

    tensors, values = first_tensors(world, packed)
    returns = tensors.pop("returns")
    return Harvest(Transitions(**tensors), returns, values["real_steps"])
