"""``gtn-cli meta-train``: meta-trains a teacher, in a run folder that can be resumed."""

from __future__ import annotations

import contextlib
import logging
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gtn_cli import console, options
from gtn_cli.given import Given, only_given
from gtn_cli.interrupt import EXIT_INTERRUPTED, interrupt_on_sigterm
from gtn_cli.joined import together
from gtn_cli.json_output import echo_json
from gtn_cli.meta_training import MetaTraining, new_meta_training, resumed_meta_training
from gtn_cli.output_path import alone
from gtn_cli.teacher_argument import complete_any
from gtn_core.errors import UsageError

if TYPE_CHECKING:
    from gtn_core.distributed import World
    from gtn_core.progress import Progress
    from gtn_core.run_folder import RunFolder

log = logging.getLogger("gtn_cli")


@click.command("meta-train")
@click.option(
    "--task",
    default=None,
    help="Image task (see `gtn-cli tasks`), your own images (.npz file, module:name), or Gymnasium id.  [default: digits]",
    shell_complete=options.complete_task,
)
@click.option(
    "--preset",
    default=None,
    help="fast; for image tasks also search, paper or original.  [default: fast]",
    shell_complete=options.complete_preset,
)
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="YAML file of settings that override the preset."
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="One setting, e.g. outer.lr=0.003 or environment.centres=32; repeatable. `gtn-cli settings` lists them.",
)
@click.option(
    "--minutes",
    type=options.Amount(),
    help="Minutes to train for. Not counted are, for images, the choice of a step plan and the warm start (a minute or two);"
    " for environments, the stages fit, judge, scale and soften."
    "  [default: the preset's: digits 4.4, MNIST 48, CIFAR-10 120, most environments 10; some count outer steps instead]",
)
@click.option(
    "--iterations",
    type=click.IntRange(min=0),
    help="Outer steps to train for instead; for an environment, in each stage.",
)
@click.option("--seed", type=options.SEED, help="Seed of all random numbers.  [default: 0]")
@click.option("--threads", type=options.THREADS, help="CPU threads.  [default: the fastest number; environments 1]")
@click.option(
    "--kind",
    type=click.Choice(["mdp", "bandit", "reward"]),
    help="What to learn: mdp, a whole environment; bandit, one-step episodes; reward, one for the real task.  [default: mdp]",
)
@click.option(
    "--estimator",
    metavar="snes|openai-es|meta-gradient",
    help="Estimator of an environment's outer gradient; meta-gradient replaces the stage bilevel."
    "  [default: the stages' own, snes]",
)
@click.option(
    "--from",  # torchrun would take --start for one of its own options
    "start",
    metavar="TEACHER|ENV|PATH",
    shell_complete=complete_any,
    help="Shipped teacher or environment, or your own run or file, to start from.",
)
@options.device(default="auto; environments cpu")
@options.data_dir
@click.option("--out", type=click.Path(path_type=Path), help="Run folder to create.  [default: a new one in runs/]")
@click.option("--resume", type=click.Path(path_type=Path), help="Resume the run in this folder.")
@options.world
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
    kind: str | None,
    estimator: str | None,
    start: str | None,
    device: str | None,
    data_dir: Path | None,
    out: Path | None,
    resume: Path | None,
    world_name: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Meta-train a teacher of images or, if the task is a Gymnasium id, a synthetic environment or a learned reward.

    The run folder holds config.yaml, metrics.jsonl, TensorBoard events, a resumable state, the best teacher
    (teacher.safetensors) and plots (report/). Ctrl-C saves and prints how to resume; a run that was killed resumes from
    its last saved state. A package in the current folder can register a task of your own.

    \b
    Examples:
      gtn-cli meta-train --task digits --out runs/digits
      gtn-cli meta-train --task mnist --data-dir data --minutes 40
      gtn-cli meta-train --task mnist --set inner.steps=16 --set outer.lr=0.003
      gtn-cli meta-train --task CartPole-v1 --kind bandit --minutes 5
      gtn-cli meta-train --task CartPole-v1 --kind reward --minutes 5
      gtn-cli meta-train --task CartPole-v1 --kind bandit --estimator meta-gradient --minutes 3
      gtn-cli meta-train --task my_package:MyEnv-v0 --minutes 20 --out runs/mine
      gtn-cli meta-train --task flowers.npz --minutes 30 --out runs/flowers
      gtn-cli meta-train --task mnist --from mnist --set learner.architecture=my_nets:MyNet --minutes 10
      gtn-cli meta-train --resume runs/digits
      torchrun --nproc-per-node 2 --no-python gtn-cli meta-train --task mnist --out runs/mnist
    """
    from gtn_core.run_folder import RunFolder

    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    beside = {"--task": task, "--preset": preset, "--config": config_file, "--set": assignments, "--seed": seed}
    beside |= {"--out": out, "--kind": kind, "--estimator": estimator, "--from": start}
    if alone():  # of several processes the first one knows, once they have joined
        if resume is not None:
            _refuse_beside_resume(beside)
            RunFolder(resume).read_config()
        elif out is not None:
            RunFolder(out).refuse_taken()
    given = Given(minutes, iterations, seed, threads, device, data_dir, kind, estimator, start)

    def work(world: World) -> None:
        silent, document = quiet or world.rank > 0, as_json and world.rank == 0
        console.start_logging(quiet=silent or document)
        if resume is not None:
            _refuse_beside_resume(beside)
        begun = resume or _restarted(out, world)
        if begun is not None:
            training, folder = _resumed(begun, given, world), begun
        else:
            layers = _layers(config_file, assignments, only_given({"task": task, "preset": preset}), world)
            training = _new(layers, given, world)
            folder = out or Path(_claimed_folder(training, world))
        try:
            _train(training, RunFolder(folder), world, resume=begun is not None, quiet=silent, as_json=document)
        finally:
            if world.rank == 0 and begun is None and out is None:
                with contextlib.suppress(OSError):  # not empty
                    folder.rmdir()
                    folder.parent.rmdir()

    together(world_name, work)


def _layers(
    config_file: Path | None, assignments: tuple[str, ...], last: dict[str, Any], world: World
) -> list[dict[str, Any]]:
    from gtn_core.config import parse_assignments, read_yaml
    from gtn_core.distributed import first

    def read() -> list[dict[str, Any]]:
        return [*([read_yaml(config_file)] if config_file else []), parse_assignments(assignments), last]

    return first(world, read)


def _new(layers: list[dict[str, Any]], given: Given, world: World) -> MetaTraining:
    from gtn_core.distributed import everywhere

    named: dict[str, Any] = {key: layer[key] for layer in layers for key in ("task", "preset") if key in layer}
    task, preset = str(named.get("task", "digits")), str(named.get("preset", "fast"))
    return everywhere(world, lambda: new_meta_training(task, preset, layers, given))


def _resumed(folder: Path, given: Given, world: World) -> MetaTraining:
    from gtn_core.distributed import everywhere, first
    from gtn_core.run_folder import RunFolder

    settings = first(world, RunFolder(folder).read_config)
    return everywhere(world, lambda: resumed_meta_training(settings, given))


def _restarted(out: Path | None, world: World) -> Path | None:
    """Returns the run to resume if the launcher has restarted these processes after one died, else ``None``.

    A launcher also restarts processes that have refused another run's folder; that run was begun by another command.

    Raises:
        UsageError: The launcher may restart processes, but ``--out`` was not given.
    """
    from gtn_core.distributed import first

    def began() -> bool:
        from gtn_core.run_folder import RunFolder

        if world.may_restart and out is None:
            raise UsageError(
                "--out is required with a launcher that restarts processes, so that they find their run again"
            )
        if not world.restarts or out is None:
            return False
        run = RunFolder(out)
        return run.config.is_file() and run.command == options.given_command()

    return out if first(world, began) else None


def _train(training: MetaTraining, run: RunFolder, world: World, *, resume: bool, quiet: bool, as_json: bool) -> None:
    from gtn_core.distributed import LostRankError

    began, hint = time.monotonic(), f"resume with: gtn-cli meta-train --resume {shlex.quote(str(run.path))}"
    log.info("%s %s in %s", "resuming" if resume else "meta-training", training.title, run.path)
    try:
        with console.training_bar(quiet=quiet or as_json or not console.err.is_terminal) as bar:
            task = bar.add_task("", total=1.0, figures="")

            def show(progress: Progress, share: float, values: Mapping[str, float]) -> None:
                figures = training.figures(progress, values)
                bar.update(task, completed=min(1.0, share), figures=figures)
                if not console.err.is_terminal and progress.iteration % 50 == 0:
                    log.info("%3.0f%%  %s", 100 * share, figures)

            progress = training.train(run, world, resume=resume, listener=show, command=options.given_command())
    except LostRankError as error:
        if run.config.exists() and not world.may_restart:
            error.args = (f"{error}; {hint}",)
        raise
    except KeyboardInterrupt:
        if world.rank == 0:
            click.echo(f"interrupted; {hint if run.config.exists() else 'nothing has been trained yet'}", err=True)
        raise SystemExit(EXIT_INTERRUPTED) from None
    if world.rank == 0:
        _tell(training, run, progress, time.monotonic() - began, quiet=quiet, as_json=as_json)


def _tell(
    training: MetaTraining, run: RunFolder, progress: Progress, seconds: float, *, quiet: bool, as_json: bool
) -> None:
    own, sentence, following = training.summary(run, progress)
    if as_json:
        steps = {"iterations": progress.iteration, "seconds": round(progress.seconds, 1)}
        echo_json({"run": str(run.path), "teacher": str(run.teacher), **steps, **own})
        return
    click.echo(f"{sentence}, {seconds:.0f} s")
    if not quiet:
        logs = shlex.quote(str(run.path))
        click.echo(f"plots:  {run.report}\ncurves: tensorboard --logdir {logs}\nnext:   {following}")


def _refuse_beside_resume(given: Mapping[str, Any]) -> None:
    extra = [name for name, value in given.items() if value is not None and value != ()]
    if not extra:
        return
    error = UsageError(
        f"{', '.join(extra)} cannot be combined with --resume: a run keeps its settings"
        " (only --minutes, --iterations, --data-dir, --device, --threads and --world may change)"
    )
    error.rank = 0  # every process has the same arguments, so only rank 0 reports it
    raise error


def _claimed_folder(training: MetaTraining, world: World) -> str:
    """Creates the first unused run folder, so that no other run started at the same time takes it.

    Raises:
        UsageError: The folder cannot be created.
    """
    from gtn_core.distributed import first

    def claimed() -> str:
        number = 1
        while True:
            folder = Path("runs") / f"{training.slug}-{number}"
            try:
                folder.mkdir(parents=True)
                return str(folder)
            except FileExistsError:
                number += 1
            except OSError as error:
                raise UsageError(f"cannot create the run folder {folder}: {error.strerror}") from error

    return first(world, claimed)
