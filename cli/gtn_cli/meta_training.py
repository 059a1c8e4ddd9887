"""What differs between the two kinds of meta-training on the command line: settings, the trainer, and what to say of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gtn_core.errors import UsageError

if TYPE_CHECKING:
    from gtn_core.distributed import World
    from gtn_core.outer_loop import Listener, Progress
    from gtn_core.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Given:
    """What the user said beside settings of the config.

    Attributes:
        minutes: Budget, or ``None``.
        iterations: Budget, or ``None``.
        seed: Root of randomness, or ``None``.
        threads: CPU threads, or ``None``.
        device: Where, or ``None``.
        data_dir: Folder of image files, or ``None``; supervised only.
        kind: Kind of environment, or ``None``; reinforcement learning only.
        estimator: Estimator of the outer gradient, or ``None``; reinforcement learning only.
    """

    minutes: float | None
    iterations: int | None
    seed: int | None
    threads: int | None
    device: str | None
    data_dir: Path | None
    kind: str | None
    estimator: str | None

    @property
    def budget(self) -> dict[str, Any]:
        """Returns the budget, if one was given."""
        return only_given({"minutes": self.minutes, "iterations": self.iterations})


class MetaTraining(Protocol):
    """One kind of meta-training, with its settings resolved."""

    @property
    def title(self) -> str:
        """What is made, for the log's first line."""

    @property
    def slug(self) -> str:
        """Start of the run folder's name."""

    def train(self, run: RunFolder, world: World, *, resume: bool, listener: Listener, command: str) -> Progress:
        """Runs it, on all processes of a world, and writes its report, on the first."""

    def figures(self, progress: Progress, values: Mapping[str, float]) -> str:
        """Returns what the progress bar says after an outer step."""

    def summary(self, run: RunFolder, progress: Progress) -> tuple[dict[str, Any], str, str]:
        """Returns the result as JSON values and as a sentence, and what the user would do next."""


def new_meta_training(task: str, preset: str, layers: Sequence[Mapping[str, Any]], given: Given) -> MetaTraining:
    """Returns the meta-training of a task: of an environment where the name is a Gymnasium id, else supervised."""
    if is_environment(task):
        return Reinforcement.new(task, preset, layers, given)
    _refuse_without_version(task)
    return Supervised.new(task, preset, layers, given)


def resumed_meta_training(settings: Mapping[str, Any], given: Given) -> MetaTraining:
    """Returns a run's own meta-training, with the few settings that may change: the budget, and where data and device are."""
    if is_environment(str(settings.get("task", ""))):
        return Reinforcement.resumed(settings, given)
    return Supervised.resumed(settings, given)


def is_environment(task: str) -> bool:
    """Says whether a task's name is a Gymnasium id: it ends in a version, or names a module."""
    return re.search(r"-v\d+$", task) is not None or ":" in task


def _refuse_without_version(task: str) -> None:
    """Raises UsageError where a name is a Gymnasium id that lacks its version, and no image task's."""
    from gtn_sl.presets import PRESETS

    if task in PRESETS["fast"]:
        return
    import gymnasium as gym

    known = [spec for spec in gym.registry.values() if spec.name == task and spec.namespace is None]
    if known:
        newest = max(known, key=lambda spec: spec.version or 0)
        raise UsageError(f"unknown task {task!r}; did you mean the environment {newest.id!r}?")


def only_given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entries that hold something."""
    return {key: value for key, value in values.items() if value is not None and value != {}}


class Supervised:
    """Meta-training of a teacher of images; see ``gtn_sl``."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def new(cls, task: str, preset: str, layers: Sequence[Mapping[str, Any]], given: Given) -> Supervised:
        """Resolves the settings of a new run."""
        from gtn_sl.config import resolve_config

        _refuse({"--kind": given.kind, "--estimator": given.estimator}, f"{task} is a supervised task")
        last = {
            "seed": given.seed,
            "data_dir": str(given.data_dir.absolute()) if given.data_dir else None,
            "outer": given.budget,
            "compute": only_given({"device": given.device, "threads": given.threads}),
        }
        return cls(resolve_config(task, preset, {"compute": {"device": "auto"}}, *layers, only_given(last)))

    @classmethod
    def resumed(cls, settings: Mapping[str, Any], given: Given) -> Supervised:
        """Takes a run's settings."""
        from gtn_core.config import resolve
        from gtn_sl.config import MetaTrainConfig

        config = resolve(MetaTrainConfig, settings)
        if given.budget:
            outer = dataclasses.replace(config.outer, **{"minutes": None, "iterations": None, **given.budget})
            config = dataclasses.replace(config, outer=outer)
        if given.device is not None:
            config = dataclasses.replace(config, compute=dataclasses.replace(config.compute, device=given.device))
        if given.data_dir is not None:
            config = dataclasses.replace(config, data_dir=str(given.data_dir.absolute()))
        return cls(config)

    @property
    def title(self) -> str:
        """See ``MetaTraining.title``."""
        return f"a {self.config.task} teacher (preset {self.config.preset})"

    @property
    def slug(self) -> str:
        """See ``MetaTraining.slug``."""
        return f"{self.config.task}-{self.config.preset}"

    def train(self, run: RunFolder, world: World, *, resume: bool, listener: Listener, command: str) -> Progress:
        """See ``MetaTraining.train``."""
        from gtn_core.distributed import first
        from gtn_sl.report import write_training_report
        from gtn_sl.training import meta_train

        progress = meta_train(self.config, run, resume=resume, listener=listener, command=command, world=world)
        first(world, lambda: write_training_report(run))
        return progress

    def figures(self, progress: Progress, values: Mapping[str, float]) -> str:
        """See ``MetaTraining.figures``."""
        loss = values.get("meta/loss")
        shown = "every learner diverged" if loss is None else f"loss {loss:.3f}"
        return f"step {progress.iteration}  {shown}  best {100 * progress.best:.1f}%"

    def summary(self, run: RunFolder, progress: Progress) -> tuple[dict[str, Any], str, str]:
        """See ``MetaTraining.summary``."""
        result = {
            "run": str(run.path),
            "teacher": str(run.teacher),
            "iterations": progress.iteration,
            "seconds": round(progress.seconds, 1),
            "validation_accuracy": progress.best,
            "best_iteration": progress.best_iteration,
        }
        sentence = (
            f"{run.teacher}: {100 * progress.best:.2f}% validation accuracy (mean of fresh learners)"
            f" after {progress.best_iteration} of {progress.iteration} outer steps"
        )
        return result, sentence, f"gtn-cli evaluate {run.path}"


class Reinforcement:
    """Meta-training of a synthetic environment; see ``gtn_rl``."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.results: list[Any] = []

    @classmethod
    def new(cls, task: str, preset: str, layers: Sequence[Mapping[str, Any]], given: Given) -> Reinforcement:
        """Resolves the settings of a new run."""
        from gtn_rl.config import resolve_config

        _refuse({"--data-dir": given.data_dir}, f"{task} is an environment, which has no image files")
        last: dict[str, Any] = {
            "seed": given.seed,
            "device": given.device,
            "threads": given.threads,
            "environment": only_given({"kind": given.kind}),
            **given.budget,
        }
        config = resolve_config(task, preset, *layers, only_given(last))
        if given.estimator is not None:
            config = dataclasses.replace(config, stages=_with_estimator(config.stages, given.estimator))
        return cls(config)

    @classmethod
    def resumed(cls, settings: Mapping[str, Any], given: Given) -> Reinforcement:
        """Takes a run's settings."""
        from gtn_core.config import resolve
        from gtn_rl.config import RLConfig

        config = resolve(RLConfig, settings)
        if given.budget:
            config = dataclasses.replace(config, **{"minutes": None, "iterations": None, **given.budget})
        return cls(dataclasses.replace(config, device=given.device) if given.device else config)

    @property
    def title(self) -> str:
        """See ``MetaTraining.title``."""
        environment, stages = self.config.environment, ", ".join(stage.name for stage in self.config.stages)
        if environment.kind == "reward":
            return f"a learned reward for {self.config.task} ({environment.reward_mode}; stages: {stages})"
        return f"a synthetic {self.config.task} ({environment.kind}; stages: {stages})"

    @property
    def slug(self) -> str:
        """See ``MetaTraining.slug``."""
        return f"{self.config.task.replace(':', '-')}-{self.config.environment.kind}"

    def train(self, run: RunFolder, world: World, *, resume: bool, listener: Listener, command: str) -> Progress:
        """See ``MetaTraining.train``."""
        from gtn_core.distributed import first
        from gtn_rl.report import write_training_report
        from gtn_rl.training import meta_train

        progress, self.results = meta_train(
            self.config, run, resume=resume, listener=listener, command=command, world=world
        )
        first(world, lambda: write_training_report(run, self.config))
        return progress

    def figures(self, progress: Progress, values: Mapping[str, float]) -> str:
        """See ``MetaTraining.figures``."""
        fitness = values.get("meta/fitness")
        shown = "" if fitness is None else f"fitness {fitness:.1f}  "
        return f"step {progress.iteration}  {shown}best {progress.best:.1f}"

    def summary(self, run: RunFolder, progress: Progress) -> tuple[dict[str, Any], str, str]:
        """See ``MetaTraining.summary``."""
        result = {
            "run": str(run.path),
            "teacher": str(run.teacher),
            "iterations": progress.iteration,
            "seconds": round(progress.seconds, 1),
            "validation_return": progress.best,
            "real_steps": sum(stage.real_steps for stage in self.results),
            "cpu_seconds": round(sum(stage.cpu_seconds for stage in self.results), 1),
            "stages": [vars(stage) for stage in self.results],
        }
        kept = ", ".join(
            f"{s.name} {s.score:.1f}{'' if s.kept else ' (not kept)'}" for s in self.results if s.name != "fit"
        )
        cost = f"{result['real_steps']:,} real steps, {result['cpu_seconds']:,.0f} CPU-seconds"
        sentence = f"{run.teacher}: mean real return {progress.best:.1f} of fresh agents ({kept}); {cost}"
        return result, sentence, f"gtn-cli train-agent --env {run.teacher} --algo ppo --steps 10000"


def _with_estimator(stages: Sequence[Any], name: str) -> tuple[Any, ...]:
    """Returns the stages with another way to the outer gradient: by evolution, or by differentiating in place of it."""
    from gtn_core.errors import unknown_name
    from gtn_core.estimators import ESTIMATORS

    evolution = [known for known in ESTIMATORS if known != "backprop"]
    if name == "meta-gradient":
        return tuple(dataclasses.replace(s, name=name, estimator="snes") if s.name == "bilevel" else s for s in stages)
    if name not in evolution:
        raise unknown_name("estimator", name, [*evolution, "meta-gradient"])
    lr = 1.0 if name == "snes" else 0.02
    return tuple(
        dataclasses.replace(s, estimator=name, lr=lr) if s.name in ("greedy", "bilevel") else s for s in stages
    )


def _refuse(given: Mapping[str, Any], why: str) -> None:
    extra = [name for name, value in given.items() if value is not None]
    if extra:
        raise UsageError(f"{', '.join(extra)} has no meaning here: {why}")
