"""Evolution of an environment as a job of the outer loop: agents that give the fitness, and the teacher's validation."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from gtn_core.distributed import first
from gtn_core.outer_job import Validation
from gtn_core.seeding import Streams
from gtn_rl.agents import InnerAgent
from gtn_rl.agents.distillation import draw_student
from gtn_rl.agents.protocol import log_uniform
from gtn_rl.config import RLConfig, StageConfig
from gtn_rl.fitness import Greedy, TransferTrial, greedy_return
from gtn_rl.harvest import start_from_greedy
from gtn_rl.judge import Judge, learners
from gtn_rl.models.environment import bandits
from gtn_rl.models.teacher import LearnedTeacher
from gtn_rl.tasks.protocol import BatchedTask

Save = Callable[[Validation, int], None]
"""``(validation, outer step)``: stores the teacher, the best so far."""

INSTEAD: Mapping[str, Callable[[StageConfig, np.random.Generator, float], InnerAgent]] = {
    "greedy": lambda stage, random, progress: Greedy(log_uniform(random, *stage.gain)),
    "distil": lambda stage, random, progress: draw_student(random, progress),
}
"""What the warm-up stages evaluate in place of agents trained inside: ``(stage, random, progress from 0 to 1)`` ->
agent."""


class EvolutionJob:
    """Episodes and validation of one evolved stage; see ``gtn_core.outer_job.Job``.

    Args:
        config: All settings.
        task: The real task.
        teacher: The teacher to train.
        streams: The stage's random streams.
        judge: Validates the teacher.
        save: Stores the best teacher.
        stage: Settings of the stage; its name decides what is evaluated in place of trained agents, and how the teacher
            is validated.
    """

    def __init__(
        self,
        config: RLConfig,
        task: BatchedTask,
        teacher: LearnedTeacher,
        streams: Streams,
        judge: Judge,
        save: Save,
        stage: StageConfig,
    ) -> None:
        self.config, self.task, self.teacher, self.streams = config, task, teacher, streams
        self.judge, self.save, self.stage = judge, save, stage
        self.learners = learners(config, task.spec)

    def episode(self, iteration: int, progress: float) -> TransferTrial:
        """See ``Job.episode``: kinds of agents take turns, with hyper-parameters drawn for each generation."""
        agent, episodes = self._agent(iteration, progress), self.config.agents.episodes
        return TransferTrial(self.task, agent, self.streams, iteration, episodes, self.stage.shift)

    def _agent(self, iteration: int, progress: float) -> InnerAgent:
        random = self.streams.numpy("agent", iteration)
        if self.stage.name in INSTEAD:
            return INSTEAD[self.stage.name](self.stage, random, progress)
        _, family = self.learners[iteration % len(self.learners)]
        return family.draw(self.task.spec, random)

    def validate(self, before_learner: Callable[[], None]) -> Validation:
        """See ``Job.validate``."""
        if self.stage.name == "greedy":
            return self._validate_greedy(before_learner)
        environment = partial(bandits, self.teacher) if self.stage.nature.warms_up else self.teacher.model
        return self.judge(environment, before_learner)

    def _validate_greedy(self, before_learner: Callable[[], None]) -> Validation:
        """Validates by agents that learn the greedy policy from its own rewards, in states that it explores.

        Many policies are equally good but not equally easy to learn; what counts is how well agents do that learn them.
        """
        mean, steps, seconds = first(self.judge.world, self._greedy_figures)
        self.judge.world.broadcast_(self.teacher.state_dict().values())
        judged = self.judge(partial(bandits, self.teacher), before_learner)
        metrics = {**judged.metrics, "real/greedy": mean}
        metrics["cost/real_steps"] += steps
        metrics["perf/cpu_seconds"] += seconds
        return Validation(judged.score, metrics)

    def _greedy_figures(self) -> tuple[float, int, float]:
        """Moves initial states to where the greedy policy goes; returns its mean return, real steps and CPU-seconds."""
        started, settings = time.process_time(), self.config.environment
        episodes, random = self.config.agents.greedy_episodes, self.streams.numpy("validation-greedy")
        mean, steps = greedy_return(self.task, self.teacher, episodes, random)
        random = self.judge.streams.numpy("harvest-greedy")  # the same stream as at the end of the stage
        steps += start_from_greedy(self.task, self.teacher, settings, random).real_steps
        return mean, steps, time.process_time() - started

    def save_teacher(self, validation: Validation, iteration: int) -> None:
        """See ``Job.save_teacher``."""
        self.save(validation, iteration)
