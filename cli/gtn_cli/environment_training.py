"""Meta-training of a synthetic environment, as run by the command line; see ``gtn_cli.meta_training``."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gtn_cli.given import Given, only_given, refuse
from gtn_core.errors import UsageError

if TYPE_CHECKING:
    from gtn_core.distributed import World
    from gtn_core.outer_loop import Listener
    from gtn_core.progress import Progress
    from gtn_core.run_folder import RunFolder


class Reinforcement:
    """Meta-training of a synthetic environment; see ``gtn_rl``."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.results: list[Any] = []
        self._new_budget = False

    @classmethod
    def new(cls, task: str, preset: str, layers: Sequence[Mapping[str, Any]], given: Given) -> Reinforcement:
        """Resolves the settings of a new run.

        Args:
            task: Gymnasium id of the real task.
            preset: Name of the preset.
            layers: Settings over the preset, each layer overriding the previous ones.
            given: The command's own options, which override all layers.

        Raises:
            UsageError: A setting is invalid, or an option has no meaning for environments.
        """
        from gtn_rl.config import resolve_config

        _refuse_images(task, given)
        last: dict[str, Any] = {
            "seed": given.seed,
            "device": given.device,
            "threads": given.threads,
            "environment": only_given({"kind": given.kind, "start": given.start}),
            **given.budget,
        }
        config = resolve_config(task, preset, *layers, only_given(last))
        if given.estimator is not None:
            config = dataclasses.replace(config, stages=_with_estimator(config.stages, given.estimator))
        return cls(config)

    @classmethod
    def resumed(cls, settings: Mapping[str, Any], given: Given) -> Reinforcement:
        """Resolves the stored settings of a run, with the changes in ``given``.

        Raises:
            UsageError: A setting is invalid, or ``given`` has a data folder.
        """
        from gtn_core.config import resolve
        from gtn_rl.config import RLConfig

        config = resolve(RLConfig, settings)
        _refuse_images(config.task, given)
        if given.budget:
            stages = tuple(dataclasses.replace(stage, iterations=None) for stage in config.stages)
            config = dataclasses.replace(config, **{"minutes": None, "iterations": None, **given.budget}, stages=stages)
        training = cls(dataclasses.replace(config, **only_given({"device": given.device, "threads": given.threads})))
        training._new_budget = bool(given.budget)
        return training

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
        from gtn_rl.reports.report import write_training_report
        from gtn_rl.stages.run import is_done
        from gtn_rl.training import meta_train

        if self._new_budget and first(world, lambda: is_done(run, self.config)):
            told = f"all stages of {run.path} are done, so it takes no further budget"
            if self.config.environment.reward_mode == "fitted":
                raise UsageError(told)
            raise UsageError(f"{told}; to continue, start a new run with --from {shlex.quote(str(run.path))}")
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
            "validation_return": progress.best,
            "real_steps": sum(stage.real_steps for stage in self.results),
            "cpu_seconds": round(sum(stage.cpu_seconds for stage in self.results), 1),
            "stages": [vars(stage) for stage in self.results],
        }
        kept = ", ".join(
            f"{s.name} {s.score:.1f}{'' if s.kept else ' (not kept)'}" for s in self.results if s.nature.judges
        )
        cost = f"{result['real_steps']:,} real steps, {result['cpu_seconds']:,.0f} CPU-seconds"
        sentence = f"{run.teacher}: mean real return {progress.best:.1f} of fresh agents ({kept}); {cost}"
        return result, sentence, f"gtn-cli train-agent --env {shlex.quote(str(run.teacher))} --algo ppo --steps 10000"


def _refuse_images(task: str, given: Given) -> None:
    refuse({"--data-dir": given.data_dir}, f"{task} is an environment, which has no image files")


def _with_estimator(stages: Sequence[Any], name: str) -> tuple[Any, ...]:
    """Returns the stages with another estimator of the outer gradient: an evolution strategy or the meta-gradient.

    Raises:
        UnknownNameError: There is no such estimator.
        UsageError: No stage can use the estimator.
    """
    from gtn_core.errors import unknown_name
    from gtn_rl.stages.rules import evolution_strategies

    evolution = evolution_strategies()
    if name != "meta-gradient" and name not in evolution:
        raise unknown_name("estimator", name, [*evolution, "meta-gradient"])
    names = [stage.name for stage in stages]
    if name == "meta-gradient":
        if not {"bilevel", name} & set(names):
            raise UsageError(
                f"--estimator {name} replaces the stage bilevel, but the stages are {', '.join(names)};"
                f" set the stages, e.g. --set 'stages=[{{name: {name}}}]'"
            )
        return tuple(dataclasses.replace(s, name=name, estimator="snes") if s.name == "bilevel" else s for s in stages)
    if not any(stage.nature.evolves for stage in stages):
        raise UsageError(f"--estimator {name} has no effect: none of the stages {', '.join(names)} is an evolution")
    return tuple(dataclasses.replace(s, estimator=name) if s.nature.evolves else s for s in stages)
