"""``gtn-cli reproduce``: re-tests one claim of the paper, in a folder that can be resumed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from gtn_cli import console, options
from gtn_cli.interrupt import interrupt_on_sigterm
from gtn_cli.json_output import echo_json
from gtn_cli.kept_work import kept
from gtn_cli.output_path import OutputFolder
from gtn_core.folder import refuse_other_files

log = logging.getLogger("gtn_cli")

NAMES = ("weight-norm", "curriculum", "speed", "unrecognisable", "transfer", "endless", "distillation")
SECONDS_BETWEEN_LINES = 30.0


def complete_claim(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes a claim's name."""
    return [CompletionItem(name) for name in NAMES if name.startswith(typed)]


@click.command("reproduce")
@click.argument("claim", metavar="|".join(NAMES), shell_complete=complete_claim)
@click.option(
    "--budget",
    default="small",
    show_default=True,
    type=click.Choice(["small", "full"]),
    help="small: at most 20 minutes on 2 cores (distillation of 28x28 images an hour and a half); full: the paper's setting.",
)
@click.option(
    "--task",
    help="Image task, or your own.  [default: digits; with the full budget mnist]",
)
@click.option(
    "--minutes",
    type=options.Amount(),
    help="Time limit in minutes, of which all meta-trainings share four fifths, instead of the budget's outer steps.",
)
@options.seed()
@options.device()
@options.data_dir
@click.option("--out", type=OutputFolder(), help="Output folder.  [default: runs/reproduce/CLAIM-TASK-BUDGET]")
@options.output_mode
def command(
    claim: str,
    budget: str,
    task: str | None,
    minutes: float | None,
    seed: int,
    device: str | None,
    data_dir: Path | None,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Re-test a claim of the paper's supervised part: meta-train what it needs, measure, and report whether it held.

    The folder gets CLAIM.json, CLAIM.md and CLAIM.png, and a run folder of each meta-training in runs/. Finished work
    is kept: after Ctrl-C or a crash, the same command resumes.

    \b
    weight-norm     is meta-training more stable with weight norm on the generator?
    curriculum      full > shuffled batches > all shuffled > none?
    speed           accuracy against inner steps: GTN, distilled images, real data
    unrecognisable  how does a classifier of real images read the synthetic ones?
    transfer        which teacher teaches which learner?
    endless         a teacher without a curriculum, sampled for longer than it was trained
    distillation    data sets of a few images per class, beside the literature's figures

    \b
    Examples:
      gtn-cli reproduce speed
      gtn-cli reproduce curriculum --task mnist --data-dir data --minutes 60
      gtn-cli reproduce transfer --budget full --device cuda
    """
    if out is not None:
        refuse_other_files(out, "study.json")
    from gtn_sl import reproduce_claim
    from gtn_sl.claims.study import study_folder

    console.start_logging(quiet=True)  # each run logs to its own folder
    interrupt_on_sigterm()
    folder, began = out or study_folder(claim, budget, task), time.monotonic()
    with kept(folder), _shown(quiet=quiet or as_json) as show:
        result = reproduce_claim(
            claim,
            budget=budget,
            task=task,
            minutes=minutes,
            seed=seed,
            device=device or "auto",
            data_dir=data_dir,
            out=folder,
            listener=show,
            command=options.given_command(),
        )
    if as_json:
        echo_json(result)
        return
    console.print_table(result["table"], f"{claim}: {result['says']}")
    click.echo(f"{'held' if result['held'] else 'did not hold'}: {result['saw']}")
    if result["diverged"]:
        click.echo(f"diverged before the end: {result['diverged']}")
    if quiet:
        return
    if result["cannot show"]:
        click.echo(f"cannot show: {result['cannot show']}")
    click.echo(f"picture: {folder / claim}.png\nfolder:  {folder} ({(time.monotonic() - began) / 60:.1f} minutes)")


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[float, str], None]]:
    """Shows a study's progress: a bar on a terminal, else a line every ``SECONDS_BETWEEN_LINES``.

    Yields:
        A function to call with the finished fraction and a text.
    """
    terminal = console.err.is_terminal
    with console.training_bar(quiet=quiet or not terminal) as bar:
        task, last = bar.add_task("", total=1.0, figures=""), time.monotonic()

        def show(share: float, figures: str) -> None:
            nonlocal last
            bar.update(task, completed=min(1.0, share), figures=figures)
            if not (quiet or terminal) and time.monotonic() - last > SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                click.echo(f"{100 * share:3.0f}%  {figures}", err=True)

        yield show
