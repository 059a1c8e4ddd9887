"""``gtn-cli transfer``: tests agents trained inside an environment on the real task, beside the controls."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gtn_cli import console, options
from gtn_cli.commands.train_agent import complete_algorithm
from gtn_cli.interrupt import interrupt_on_sigterm
from gtn_cli.joined import joined
from gtn_cli.json_output import echo_json
from gtn_cli.kept_work import kept
from gtn_cli.output_path import OutputFolder
from gtn_core.errors import UsageError

if TYPE_CHECKING:
    from gtn_rl.environments import Environment
    from gtn_rl.transfer.outcome import Transfer
    from gtn_rl.transfer.plan import TransferPlan

log = logging.getLogger("gtn_cli")


@click.command("transfer")
@click.argument("names", metavar="ENV...", nargs=-1, required=True, shell_complete=options.complete_environment)
@click.option(
    "--algo",
    "algorithms",
    multiple=True,
    help="Algorithm; repeatable.  [default: ppo, a2c, dqn; for continuous actions ppo, sac, td3]",
    shell_complete=complete_algorithm,
)
@click.option(
    "--settings",
    multiple=True,
    metavar="default|varied|tuned",
    default=("default",),
    show_default=True,
    help="Hyper-parameters; repeatable.",
)
@click.option(
    "--seeds",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="Agents per algorithm and kind of settings.",
)
@click.option(
    "--steps",
    default="1000,3000,10000,50000",
    show_default=True,
    help="Numbers of steps after which agents are judged.",
)
@click.option(
    "--episodes", default=100, show_default=True, type=click.IntRange(min=1), help="Real episodes per judgement."
)
@click.option("--eval", "task", help="Real task.  [default: the one in the environment's file, else ENV itself]")
@click.option(
    "--controls/--no-controls",
    default=True,
    show_default=True,
    help="Compare with the real task, behaviour cloning of the teacher and an untrained teacher.",
)
@click.option(
    "--control-steps",
    default=200_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Steps within which an agent on the real task must solve it.",
)
@options.seed()
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(min=1), help="Worker processes, one thread each."
)
@click.option(
    "--out",
    type=OutputFolder(),
    help="Output folder; with several ENV, the parent of theirs.  [default: runs/transfer/ENV]",
)
@options.data_dir
@options.world
@options.output_mode
def command(
    names: tuple[str, ...],
    algorithms: tuple[str, ...],
    settings: tuple[str, ...],
    seeds: int,
    steps: str,
    episodes: int,
    task: str | None,
    controls: bool,
    control_steps: int,
    seed: int,
    workers: int,
    out: Path | None,
    data_dir: Path | None,
    world_name: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train agents inside environments, and test them on the real task.

    ENV is a Gymnasium id, package:id, or the path of a run or of a .safetensors environment. Settings: `default` are those of
    Stable-Baselines3; `varied` are drawn for each agent (learning rate, batch size and width by up to a factor of 3,
    depth by one layer); `tuned` are the package's own. The controls train the same agents for as many steps on the real
    task, and then on until they solve it.

    The folder (runs/transfer/ENV) holds agents.jsonl with one line per agent, transfer.json, transfer.md and
    transfer.png. The same command resumes where an earlier one stopped.

    \b
    Examples:
      gtn-cli transfer GTN-CartPole-v0
      gtn-cli transfer GTN-CartPole-v0 --steps 10000 --seeds 5 --no-controls
      gtn-cli transfer GTN-CartPole-v0 --settings default --settings varied --workers 4
      gtn-cli transfer runs/cartpole --algo dqn --algo qrdqn
      horovodrun -np 4 gtn-cli transfer GTN-CartPole-v0
    """
    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    options.use_data_dir(data_dir)
    from gtn_core.distributed import everywhere
    from gtn_rl.transfer.plan import TransferPlan
    from gtn_rl.transfer.study import transfer_study

    plan = TransferPlan(
        algorithms=algorithms,
        settings=settings,
        agents=seeds,
        steps=_steps(steps),
        episodes=episodes,
        controls=controls,
        control_steps=control_steps,
        seed=seed,
        workers=workers,
    )
    made_by = options.given_command()
    with joined(world_name) as world:
        speaks = world.rank == 0
        console.start_logging(quiet=quiet or as_json or not speaks)
        pairs = everywhere(world, lambda: _pairs(names, task, plan))
        folders = everywhere(world, lambda: _folders(pairs, out))
        documents = []
        for (env, real), folder in zip(pairs, folders, strict=True):
            with kept(folder, told=speaks), _shown(env.name, quiet=quiet or as_json or not speaks) as advance:
                transfer = transfer_study(
                    env, task=real, plan=plan, out=folder, listener=advance, command=made_by, world=world
                )
            if not speaks:
                continue
            documents.append({**transfer.to_json(), "folder": str(folder)})
            if not as_json:
                _tell(transfer, folder, quiet=quiet)
        if as_json and speaks:
            echo_json(documents if len(documents) > 1 else documents[0])


def _pairs(names: Sequence[str], task: str | None, plan: TransferPlan) -> list[tuple[Environment, str]]:
    """Returns environments with their real tasks; checks names and plan before any work.

    Raises:
        UsageError: A name is unknown, or the plan does not fit an environment.
    """
    from gtn_rl.environments import find_environment
    from gtn_rl.transfer.plan import check

    envs = [find_environment(name) for name in names]
    pairs = [(env, find_environment(task or env.real_task).full_id) for env in envs]
    for env, real in pairs:
        check(env, real, plan)
    return pairs


def _tell(transfer: Transfer, folder: Path, *, quiet: bool) -> None:
    from gtn_rl.transfer.report import cost_line, short_table, solving_table

    name, real, plan = transfer.env.name, transfer.task, transfer.plan
    for kind in plan.settings:
        title = f"{name}: IQM of the return on {real} by steps, {kind} settings, n = {plan.agents}"
        console.print_table(short_table(transfer, kind), title)
        if transfer.solving:
            title = f"steps until {real} is solved, on the teacher and on itself; agents from which the teacher pays"
            console.print_table(solving_table(transfer, kind), title)
    if not quiet:
        if cost := cost_line(transfer):
            click.echo(f"cost of the teacher: {cost}")
        if transfer.diverged:
            click.echo(f"diverged, counted as not solving: {'; '.join(transfer.diverged)}")
        click.echo(f"report: {folder}")


@contextlib.contextmanager
def _shown(name: str, *, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Shows a study's progress: a bar on a terminal, else a line for each agent.

    Yields:
        A function to call with the title of the last agent and the numbers of finished and of all agents.
    """
    with console.counting_bar(quiet=quiet or not console.err.is_terminal) as bar:
        task = bar.add_task(f"agents of {name}", total=None)

        def advance(title: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if not title and done:
                log.info("%s: %d of %d agents are already done", name, done, total)
            elif title and not console.err.is_terminal:
                log.info("%s: %d of %d agents, last %s", name, done, total, title)

        yield advance


def _steps(text: str) -> tuple[int, ...]:
    try:
        steps = tuple(sorted({int(part.replace("_", "")) for part in text.split(",")}))
    except ValueError:
        steps = ()
    if not steps or steps[0] < 1:
        raise UsageError(f"--steps must be comma-separated integers above 0, e.g. 1000,3000,10000, not {text!r}")
    return steps


def _folders(pairs: Sequence[tuple[Environment, str]], out: Path | None) -> list[Path]:
    """Returns a folder for each study.

    Raises:
        UsageError: Two studies would share a folder, or one holds another study.
    """
    from gtn_rl.transfer.report import refuse_another_study
    from gtn_rl.transfer.study import STUDIES, study_folder

    folders: dict[Path, str] = {}
    for env, real in pairs:
        folder = out if out is not None and len(pairs) == 1 else study_folder(env.name, out or STUDIES)
        if folder in folders:
            raise UsageError(f"{folders[folder]} and {env.name} would share the folder {folder}: study one at a time")
        folders[folder] = env.name
        refuse_another_study(folder, env, real)
    return list(folders)
