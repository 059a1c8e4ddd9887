"""Meta-training of a teacher of images, as run by the command line; see ``gtn_cli.meta_training``."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gtn_cli.given import Given, only_given, refuse

if TYPE_CHECKING:
    from gtn_core.distributed import World
    from gtn_core.outer_loop import Listener
    from gtn_core.progress import Progress
    from gtn_core.run_folder import RunFolder


class Supervised:
    """Meta-training of a teacher of images; see ``gtn_sl``."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def new(cls, task: str, preset: str, layers: Sequence[Mapping[str, Any]], given: Given) -> Supervised:
        """Resolves the settings of a new run.

        Args:
            task: Name of the image task.
            preset: Name of the preset.
            layers: Settings over the preset, each layer overriding the previous ones.
            given: The command's own options, which override all layers.

        Raises:
            UsageError: A setting is invalid, or an option has no meaning for images.
        """
        from gtn_sl.config import resolve_config

        refuse({"--kind": given.kind, "--estimator": given.estimator}, f"{task} is a supervised task")
        last = {
            "seed": given.seed,
            "data_dir": str(given.data_dir.absolute()) if given.data_dir else None,
            "teacher": only_given({"start": given.start}),
            "outer": given.budget,
            "compute": only_given({"device": given.device, "threads": given.threads}),
        }
        return cls(resolve_config(task, preset, {"compute": {"device": "auto"}}, *layers, only_given(last)))

    @classmethod
    def resumed(cls, settings: Mapping[str, Any], given: Given) -> Supervised:
        """Resolves the stored settings of a run, with the changes in ``given``.

        Raises:
            UsageError: A setting is invalid.
        """
        from gtn_core.config import resolve
        from gtn_sl.config import MetaTrainConfig

        config = resolve(MetaTrainConfig, settings)
        if given.budget:
            outer = dataclasses.replace(config.outer, **{"minutes": None, "iterations": None, **given.budget})
            config = dataclasses.replace(config, outer=outer)
        changed = only_given({"device": given.device, "threads": given.threads})
        if given.threads is not None:
            changed["sharers"] = None  # --threads is the number per process
        config = dataclasses.replace(config, compute=dataclasses.replace(config.compute, **changed))
        if given.data_dir is not None:
            config = dataclasses.replace(config, data_dir=str(given.data_dir.absolute()))
        return cls(config)

    @property
    def title(self) -> str:
        """See ``MetaTraining.title``."""
        start = f", from {self.config.teacher.start}" if self.config.teacher.start else ""
        return f"a {self.config.task} teacher (preset {self.config.preset}{start})"

    @property
    def slug(self) -> str:
        """See ``MetaTraining.slug``."""
        from gtn_sl.data import find_task

        return f"{find_task(self.config.task).slug}-{self.config.preset}"

    def train(self, run: RunFolder, world: World, *, resume: bool, listener: Listener, command: str) -> Progress:
        """See ``MetaTraining.train``."""
        from gtn_core.distributed import first
        from gtn_sl.reports.report import write_training_report
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
            "validation_accuracy": progress.best,
            "best_iteration": progress.best_iteration,
        }
        sentence = (
            f"{run.teacher}: {100 * progress.best:.2f}% validation accuracy (mean of fresh learners)"
            f" at outer step {progress.best_iteration} of {progress.iteration}, where it was best"
        )
        return result, sentence, f"gtn-cli evaluate {shlex.quote(str(run.path))}"
