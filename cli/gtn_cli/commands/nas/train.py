"""``gtn-cli nas train``: trains architectures, e.g. a search's winners, on real data, and tests them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from gtn_cli import console, options
from gtn_cli.commands.nas import choices
from gtn_cli.interrupt import interrupt_on_sigterm
from gtn_cli.json_output import echo_json
from gtn_cli.kept_work import kept
from gtn_core.errors import UsageError


@click.command("train")
@choices.space
@choices.task
@choices.architectures
@click.option("--from", "source", type=click.Path(path_type=Path), help="Folder of a search whose winners to train.")
@click.option(
    "--top", default=1, show_default=True, type=click.IntRange(min=1), help="Number of winners of --from to train."
)
@choices.training
@options.data_dir
@choices.out("runs/nas/train")
@options.output_mode
def command(
    space_name: str,
    task: str,
    encodings: tuple[str, ...],
    count: int | None,
    seed: int,
    source: Path | None,
    top: int,
    seeds: int,
    workers: int,
    assignments: tuple[str, ...],
    data_dir: Path | None,
    out: Path,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train architectures on real data for some epochs (--set epochs=40; 5 by default), and test them.

    Name them (--architecture), draw some (--count), or take a search's winners (--from).

    Training uses SGD with momentum, a warm-up and a cosine schedule; augmentation (with cutout, if the chosen one has
    it) and an auxiliary head (--set auxiliary=0.4) are optional. The trained networks are stored beside the results, in
    OUT/trainings/SPACE-TASK-.../networks, which is printed.

    \b
    Examples:
      gtn-cli nas train --architecture c3-sk.no-c1.a3.c3 --seeds 3
      gtn-cli nas train --from runs/nas/search/evolution-0 --top 3 --set epochs=20
      gtn-cli nas train --space cells-small --task cifar10 --count 5 --set augmentation=crop-flip --set auxiliary=0.4
    """
    from gtn_core.config import parse_assignments, resolve
    from gtn_sl.nas import FinalTraining, read_search, train_architectures

    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    training = resolve(FinalTraining, parse_assignments(assignments))
    if source is not None:
        search = read_search(source)
        space_name, task = search["space"], search["task"]
        _refuse_others(source, space_name=space_name, task=task)
        encodings = (*encodings, *(encoding for encoding, _ in search["winners"][:top]))
    elif click.get_current_context().get_parameter_source("top") is ParameterSource.COMMANDLINE:
        raise UsageError("--top is the number of winners of a search to train: name the search with --from")
    with kept(out), console.counted(quiet=quiet or as_json) as show:
        trained = train_architectures(
            encodings,
            space=space_name,
            task=task,
            count=count,
            settings=training,
            seeds=seeds,
            seed=seed,
            workers=workers,
            data_dir=data_dir,
            out=out,
            listener=show,
        )
    if as_json:
        echo_json(trained)
        return
    rows = [_row(encoding, runs) for encoding, runs in trained["results"].items()]
    console.print_table(rows, f"{trained['space']} on {task}, {seeds} seeds")
    if not quiet:
        click.echo(f"networks: {trained['networks']}")


def _refuse_others(source: Path, **of_the_search: str) -> None:
    """Raises UsageError if an option names another space or task than that of the search."""
    context = click.get_current_context()
    for name, value in of_the_search.items():
        asked = context.params[name]
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE and asked != value:
            option = name.removesuffix("_name")
            raise UsageError(f"--{option} {asked}: the search in {source} used --{option} {value}; omit the option")


def _row(encoding: str, runs: dict[int, dict[str, Any]]) -> dict[str, str]:
    import numpy as np

    good = [run for run in runs.values() if run["failure"] is None]
    cells = {"architecture": encoding}
    for split in ("validation", "test"):
        values = 100 * np.array([run[split] for run in good])
        spread = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
        cells[split] = f"{values.mean():.2f}%{spread}" if len(values) else "-"
    cells["CPU s"] = f"{np.mean([run['cpu_seconds'] for run in runs.values()]):.3g}"
    cells["diverged"] = str(len(runs) - len(good))
    return cells
