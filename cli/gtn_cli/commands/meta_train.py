"""``gtn-cli meta-train``: makes a teacher, in a run folder that can be resumed."""

from __future__ import annotations

import dataclasses
import logging
import shlex
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import click

from gtn_cli import console, options
from gtn_cli.main import EXIT_INTERRUPTED, echo_json
from gtn_core.config import parse_assignments, read_yaml, resolve
from gtn_core.errors import UsageError
from gtn_core.outer_loop import Progress
from gtn_core.run_folder import RunFolder
from gtn_sl.config import MetaTrainConfig, resolve_config
from gtn_sl.report import write_training_report
from gtn_sl.training import meta_train

log = logging.getLogger("gtn_cli")


@click.command("meta-train")
@click.option(
    "--task", default=None, help="Task; see `gtn-cli tasks`.  [default: digits]", shell_complete=options.complete_task
)
@click.option(
    "--preset", default=None, help="fast, paper or original.  [default: fast]", shell_complete=options.complete_preset
)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="YAML file of settings over the preset.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="One setting, e.g. outer.lr=0.003; repeatable."
)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Train for so many minutes.")
@click.option("--iterations", type=click.IntRange(min=0), help="Train for so many outer steps.")
@click.option("--seed", type=click.IntRange(min=0), help="Root of all randomness.  [default: 0]")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: torch's]")
@options.device
@options.data_dir
@click.option("--out", type=click.Path(path_type=Path), help="Run folder to make.  [default: runs/TASK-PRESET-N]")
@click.option("--resume", type=click.Path(path_type=Path), help="Go on with the run in this folder.")
@options.output_mode
def command(
    task: str | None,
    preset: str | None,
    config_file: Path | None,
    assignments: tuple[str, ...],
    minutes: float | None,
    iterations: int | None,
    seed: int | None,
    threads: int | None,
    device: str | None,
    data_dir: Path | None,
    out: Path | None,
    resume: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Meta-train a teacher.

    The run folder holds config.yaml, metrics.jsonl, TensorBoard events, a resumable state, the best teacher
    (teacher.safetensors) and plots (report/). Ctrl-C saves and prints how to go on; a run that
    was killed goes on from its last saved state.

    \b
    Examples:
      gtn-cli meta-train --task digits --out runs/digits
      gtn-cli meta-train --task mnist --data-dir data --minutes 40
      gtn-cli meta-train --task mnist --set inner.steps=16 --set outer.lr=0.003
      gtn-cli meta-train --resume runs/digits
    """
    console.start_logging(quiet=quiet or as_json)
    given: dict[str, Any] = {
        "seed": seed,
        "data_dir": str(data_dir.absolute()) if data_dir else None,
        "outer": _only_given({"minutes": minutes, "iterations": iterations}),
        "compute": _only_given({"device": device, "threads": threads}),
    }
    if resume is not None:
        others = {"--task": task, "--preset": preset, "--config": config_file, "--set": assignments, "--seed": seed}
        _refuse_beside_resume({**others, "--out": out, "--threads": threads})
        run = RunFolder(resume)
        config = _resumed(run, given, device)
    else:
        layers: list[dict[str, Any]] = [{"compute": {"device": "auto"}}]
        layers += [read_yaml(config_file)] if config_file else []
        layers += [parse_assignments(assignments), _only_given({**given, "task": task, "preset": preset})]
        named: dict[str, Any] = {key: layer[key] for layer in layers for key in ("task", "preset") if key in layer}
        config = resolve_config(named.get("task", "digits"), named.get("preset", "fast"), *layers)
        run = RunFolder(out or _free_folder(config))
    _train(config, run, resume=resume is not None, quiet=quiet, as_json=as_json)


def _train(config: MetaTrainConfig, run: RunFolder, *, resume: bool, quiet: bool, as_json: bool) -> None:
    began = time.monotonic()
    signal.signal(signal.SIGTERM, _interrupt)  # what a scheduler sends when the time is up
    log.info(
        "%s a %s teacher (preset %s) in %s", "resuming" if resume else "making", config.task, config.preset, run.path
    )
    try:
        with console.training_bar(quiet=quiet or as_json or not console.err.is_terminal) as bar:
            task = bar.add_task("", total=1.0, figures="")

            def show(progress: Progress, share: float, values: Mapping[str, float]) -> None:
                figures = f"step {progress.iteration}  loss {values['meta/loss']:.3f}  best {100 * progress.best:.1f}%"
                bar.update(task, completed=min(1.0, share), figures=figures)
                if not console.err.is_terminal and progress.iteration % 50 == 0:
                    log.info("%3.0f%%  %s", 100 * share, figures)

            progress = meta_train(config, run, resume=resume, listener=show)
    except KeyboardInterrupt:
        hint = f"go on with: gtn-cli meta-train --resume {shlex.quote(str(run.path))}"
        click.echo(f"interrupted; {hint if run.config.exists() else 'nothing had been trained yet'}", err=True)
        raise SystemExit(EXIT_INTERRUPTED) from None
    write_training_report(run)
    result = {
        "run": str(run.path),
        "teacher": str(run.teacher),
        "iterations": progress.iteration,
        "seconds": round(progress.seconds, 1),
        "validation_accuracy": progress.best,
        "best_iteration": progress.best_iteration,
    }
    if as_json:
        echo_json(result)
        return
    click.echo(
        f"{run.teacher}: {100 * progress.best:.2f}% validation accuracy (mean of fresh learners)"
        f" after {progress.best_iteration} of {progress.iteration} outer steps, {time.monotonic() - began:.0f} s"
    )
    if not quiet:
        click.echo(
            f"plots:  {run.report}\ncurves: tensorboard --logdir {run.tensorboard}\nnext:   gtn-cli evaluate {run.path}"
        )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _resumed(run: RunFolder, given: Mapping[str, Any], device: str | None) -> MetaTrainConfig:
    """Returns a run's own settings, with the few that may change: the budget, and where data and device are."""
    config = resolve(MetaTrainConfig, run.read_config())
    if budget := given["outer"]:
        outer = dataclasses.replace(config.outer, **{"minutes": None, "iterations": None, **budget})
        config = dataclasses.replace(config, outer=outer)
    if device is not None:
        config = dataclasses.replace(config, compute=dataclasses.replace(config.compute, device=device))
    return dataclasses.replace(config, data_dir=given["data_dir"]) if given["data_dir"] else config


def _refuse_beside_resume(given: Mapping[str, Any]) -> None:
    extra = [name for name, value in given.items() if value is not None and value != ()]
    if extra:
        raise UsageError(
            f"{', '.join(extra)} cannot go with --resume: a run keeps its settings"
            " (only --minutes, --iterations, --data-dir and --device may change)"
        )


def _only_given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and value != {}}


def _free_folder(config: MetaTrainConfig) -> Path:
    number = 1
    while (folder := Path("runs") / f"{config.task}-{config.preset}-{number}").exists():
        number += 1
    return folder
