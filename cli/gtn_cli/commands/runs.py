"""``gtn-cli runs``: the runs in a folder, and how far each has come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gtn_cli import console, options
from gtn_cli.main import echo_json
from gtn_core.checkpoint import load_document
from gtn_core.errors import GTNError, UsageError
from gtn_core.run_folder import RunFolder


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
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    found = sorted(path.parent for path in folder.glob("**/config.yaml"))
    summaries = [_summary(RunFolder(path)) for path in found]
    if as_json:
        echo_json(summaries)
    elif summaries:
        console.print_table([{key: str(value) for key, value in summary.items()} for summary in summaries])
    else:
        click.echo(f"no runs in {folder}; make one with: gtn-cli meta-train --task digits")


def _summary(run: RunFolder) -> dict[str, Any]:
    summary: dict[str, Any] = {"run": str(run.path)}
    try:
        settings = run.read_config()
        summary |= {key: settings.get(key, "?") for key in ("task", "preset", "seed")}
        progress = load_document(run.state, "training-state")["progress"]
    except GTNError as error:
        return {**summary, **dict.fromkeys(("task", "preset", "seed"), "?"), "state": str(error)} | summary
    outer = settings.get("outer", {})
    if outer.get("iterations") is not None:
        done = progress["iteration"] / max(1, outer["iterations"])
    else:
        done = progress["seconds"] / (60 * outer["minutes"])
    state = "done" if done >= 1 else f"{100 * done:.0f}%: resume with --resume {run.path}"
    figures = {"steps": progress["iteration"], "minutes": round(progress["seconds"] / 60, 1)}
    return {**summary, **figures, "validation": f"{100 * progress['best']:.2f}%", "state": state}
