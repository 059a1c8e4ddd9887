"""``gtn-cli runs``: lists the runs in a folder and their progress."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gtn_cli import console, options
from gtn_cli.json_output import echo_json
from gtn_core.errors import GTNError, UsageError

if TYPE_CHECKING:
    from gtn_core.run_folder import RunFolder

COLUMNS = ("run", "task", "kind", "seed", "steps", "minutes", "validation", "state")
"""Columns of the table; --json has everything."""


@click.command("runs")
@click.argument("folder", default="runs", type=click.Path(path_type=Path))
@options.output_mode
def command(folder: Path, quiet: bool, as_json: bool) -> None:
    """List the runs in a folder (default: runs).

    \b
    Examples:
      gtn-cli runs
      gtn-cli runs /scratch/runs --json
    """
    from gtn_core.run_folder import RunFolder

    if not folder.is_dir():
        raise UsageError(f"folder {folder} does not exist")
    found = sorted(path.parent for path in folder.glob("**/config.yaml"))
    summaries = [_summary(RunFolder(path)) for path in found]
    if as_json:
        echo_json(summaries)
    elif summaries:
        console.print_table([{key: str(summary.get(key, "")) for key in COLUMNS} for summary in summaries])
        if not quiet and any("%" in summary["state"] for summary in summaries):
            click.echo("resume an unfinished run with: gtn-cli meta-train --resume RUN")
    else:
        click.echo(f"no runs in {folder}; start one with: gtn-cli meta-train --task digits")


def _summary(run: RunFolder) -> dict[str, Any]:
    summary: dict[str, Any] = {"run": str(run.path)}
    try:
        settings = run.read_config()
        summary |= {key: settings.get(key, "?") for key in ("task", "preset", "seed")}
        return summary | (_stages(run, settings) if "stages" in settings else _progress(run, settings))
    except GTNError as error:
        why = str(error)
    except (KeyError, TypeError, AttributeError) as error:  # written by another program, or incompletely
        why = f"its settings or state are not those of a run: {type(error).__name__}: {error}"
    return {**dict.fromkeys(("task", "preset", "seed"), "?"), **summary, "state": why}


def _progress(run: RunFolder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the progress of a teacher's meta-training."""
    from gtn_core.config import resolve
    from gtn_core.outer_config import OuterConfig
    from gtn_core.training_state import saved_progress

    progress = saved_progress(run)
    done = resolve(OuterConfig, settings["outer"]).spent(progress)
    state = "done" if done >= 1 else f"{100 * done:.0f}%"
    figures = {"steps": progress.iteration, "minutes": round(progress.seconds / 60, 1)}
    return {**figures, "validation": f"{100 * progress.best:.2f}%", "state": state}


def _stages(run: RunFolder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the progress of an environment's meta-training."""
    from gtn_rl.run_progress import run_progress

    progress, stages = run_progress(run, settings), [stage["name"] for stage in settings["stages"]]
    where = "" if progress.stage is None else f", {progress.stage}"
    state = f"{100 * progress.share:.0f}%{where}"
    return {
        "steps": progress.outer_steps,
        "minutes": round(progress.seconds / 60, 1),
        "validation": "-" if progress.score is None else f"{progress.score:.1f}",
        "state": "done" if progress.done else state,
        "kind": settings["environment"]["kind"],
        "stages": stages,
        **vars(progress.cost),
    }
