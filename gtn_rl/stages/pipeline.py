"""The state of an environment's meta-training, which its stages share and change in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gtn_core.config import to_dict
from gtn_core.cost import Cost, CostTracker, cost_tracker
from gtn_core.distributed import World, first
from gtn_core.outer_loop import Listener
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_core.tracking import Stage
from gtn_envs import Weights
from gtn_rl.config import RLConfig, StageConfig
from gtn_rl.environment_file import write_environment
from gtn_rl.harvest import Harvest, start_from_greedy
from gtn_rl.judge import Judge
from gtn_rl.models.teacher import LearnedTeacher
from gtn_rl.stages.result import StageResult
from gtn_rl.tasks import BatchedTask


@dataclass
class Pipeline:
    """A meta-training in progress.

    Attributes:
        config: All settings.
        run: The run folder.
        task: The real task.
        teacher: The environment in its current state.
        harvests: Steps of the real task, for fitting dynamics.
        results: Results of the stages so far.
        start: The environment that it started from, if any.
        command: The user's command line, for the file's header.
        listener: Called after every outer step.
        pending: Cost of the harvests before the first stage, which are counted as part of it.
        world: The processes that train together; the first one holds the folder and the harvests.
    """

    config: RLConfig
    run: RunFolder
    task: BatchedTask
    teacher: LearnedTeacher
    harvests: list[Harvest]
    results: list[StageResult]
    start: Weights | None
    command: str
    listener: Listener | None
    pending: Cost
    world: World

    @property
    def streams(self) -> Streams:
        """The run's random streams."""
        return Streams(self.config.seed)

    @property
    def outer_steps(self) -> int:
        """Outer steps of the stages so far."""
        return sum(result.outer_steps for result in self.results)

    @property
    def judged(self) -> StageResult:
        """The last stage that was judged by real returns."""
        return next(result for result in reversed(self.results) if result.nature.judges)

    @property
    def score(self) -> float:
        """The environment's score: that of the last stage that was judged."""
        score = self.judged.score
        assert score is not None  # only ``fit`` may be without one
        return score

    @property
    def cost(self) -> Cost:
        """Cost of the stages so far."""
        return sum((result.cost for result in self.results), Cost())

    def judge(self, *, logs: bool = False) -> Judge:
        """Returns the judge that validates the teacher, the same in every stage; see ``Judge`` for ``logs``."""
        return Judge(self.config, self.task, self.streams, world=self.world, logs=logs)

    def tracker(self, folder: RunFolder, stage: StageConfig, after: int | None, world: World) -> CostTracker:
        """Returns what logs a stage's curves and counts its cost, continuing from where a resumed stage was saved."""
        settings = {**to_dict(self.config), "stages": [to_dict(stage)]}
        named = Stage(folder.path.name, self.outer_steps)

        def before() -> Cost:
            rows = self.rows(folder)
            return Cost.of(rows[-1]) if rows else self.cost + self.pending

        return cost_tracker(world, self.run, before, after=after, settings=settings, stage=named)

    def result(
        self,
        name: str,
        tracker: CostTracker,
        *,
        kept: bool,
        score: float | None,
        metrics: Mapping[str, float],
        before: float | None = None,
        outer_steps: int = 0,
        seconds: float = 0.0,
    ) -> StageResult:
        """Returns the result of a stage, see ``StageResult``; its cost comes from the tracker."""
        spent = tracker.total - self.cost
        cpu_seconds = round(spent.cpu_seconds, 2)
        return StageResult(name, kept, score, outer_steps, spent.real_steps, cpu_seconds, metrics, before, seconds)

    def rows(self, folder: RunFolder) -> list[dict[str, Any]]:
        """Returns a stage's rows of the run's metrics."""
        return [row for row in self.run.metric_rows() if row.get("stage") == folder.path.name]

    def harvest_from_greedy(self) -> int:
        """Moves initial states to where the greedy policy goes when it explores; returns the real steps."""

        def work() -> int:
            random = self.streams.numpy("harvest-greedy")
            self.harvests.append(start_from_greedy(self.task, self.teacher, self.config.environment, random))
            return self.harvests[-1].real_steps

        steps = first(self.world, work)
        self.world.broadcast_(self.teacher.state_dict().values())
        return steps

    def forget_harvest(self) -> None:
        """Drops the last harvest, whose policy was not kept."""

        def work() -> None:
            self.harvests.pop()

        first(self.world, work)

    def write(self, score: float, metrics: Mapping[str, float], cost: Cost) -> None:
        """Writes the environment in its current state, with all that is known of how it was made and what that cost."""
        facts = {
            **metrics,
            "score": score,
            "meta_real_steps": cost.real_steps,
            "meta_cpu_seconds": round(cost.cpu_seconds, 1),
        }
        write_environment(
            self.run.teacher, self.teacher, self.config, self.results, facts, self.command, start=self.start
        )


def own_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns a validation's metrics of the environment, without those of the cost."""
    return {tag: value for tag, value in metrics.items() if not tag.startswith(("cost/", "perf/"))}
